// kubeconfig files (https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/): clusters,
// users, and contexts that put one of each together.

import Bytes
import HTTPClient
import Secrets
import YAML

enum Kubeconfig {
  private static let fileLimit = 1 << 20

  /// The server and the user of the current context.
  static func server(of path: String) throws(KubernetesSetupFault) -> KubernetesServer {
    let root: YAMLNode
    do {
      root = try YAMLParser.parse(try WholeFile.readRegular(path, limit: fileLimit))
    } catch let fault as FileFault {
      throw KubernetesSetupFault(description: "\(fault)")
    } catch {
      throw KubernetesSetupFault(description: "\(path): \(error)")
    }
    do throws(KubernetesSetupFault) {
      return try server(root, folder: path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ".")
    } catch {
      throw KubernetesSetupFault(description: "\(path): \(error.description)")
    }
  }

  /// - Parameter folder: from which relative paths count.
  static func server(_ root: YAMLNode, folder: String) throws(KubernetesSetupFault) -> KubernetesServer {
    guard let name = root.text("current-context") else {
      throw KubernetesSetupFault(description: "no current-context is set")
    }
    let context = try root.named(name, in: "contexts", "context")
    guard let clusterName = context.text("cluster") else {
      throw KubernetesSetupFault(description: "the context \"\(name)\" has no cluster")
    }
    let cluster = try root.named(clusterName, in: "clusters", "cluster")
    let user = try context.text("user").map { user throws(KubernetesSetupFault) in
      try root.named(user, in: "users", "user")
    }
    guard let url = cluster.text("server") else {
      throw KubernetesSetupFault(description: "the cluster \"\(clusterName)\" has no server")
    }
    do throws(HTTPURLError) {
      _ = try HTTPURL(url)
    } catch {
      throw KubernetesSetupFault(description: "the cluster \"\(clusterName)\": \(error)")
    }
    for refused in ["exec", "auth-provider"] where user?.member(refused) != nil {
      throw KubernetesSetupFault(
        description: "the user \"\(context.text("user") ?? "")\" gets its credentials by \(refused), a program that is "
          + "not run here; use a token, a tokenFile or a client certificate")
    }
    if cluster.text("proxy-url") != nil {
      throw KubernetesSetupFault(description: "proxy-url is not served; use api_server with proxy_url")
    }
    var options = HTTPClientOptions()
    options.tls.ca = try cluster.source("certificate-authority-data", file: "certificate-authority", folder)
    options.tls.skipsVerification = cluster.text("insecure-skip-tls-verify") == "true"
    options.tls.serverName = cluster.text("tls-server-name")
    if let user { try options.use(user, folder) }
    return KubernetesServer(url: url, options: options)
  }
}

extension HTTPClientOptions {
  /// Asks as the user of a kubeconfig.
  fileprivate mutating func use(_ user: YAMLNode, _ folder: String) throws(KubernetesSetupFault) {
    tls.certificate = try user.source("client-certificate-data", file: "client-certificate", folder)
    tls.key = try user.source("client-key-data", file: "client-key", folder)
    if (tls.certificate == nil) != (tls.key == nil) {
      throw KubernetesSetupFault(description: "a client certificate needs its key, and a key its certificate")
    }
    if let token = try user.source("token", file: "tokenFile", folder, isBase64: false) {
      credentials = .bearer(token)
    } else if let name = user.text("username") {
      credentials = .basic(user: .text(Secret(name)), password: .text(Secret(user.text("password") ?? "")))
    }
  }
}

extension YAMLNode {
  fileprivate func member(_ key: String) -> YAMLNode? {
    guard case .mapping(let pairs) = content else { return nil }
    guard let value = pairs.first(where: { $0.key == key })?.value else { return nil }
    if case .null = value.content { return nil }
    return value
  }

  /// Nil when there is none, or an empty one.
  fileprivate func text(_ key: String) -> String? {
    guard case .scalar(let text, _)? = member(key)?.content, !text.isEmpty else { return nil }
    return text
  }

  /// What the element of a list that is called `name` has in the member `key`.
  fileprivate func named(
    _ name: String, in list: String, _ key: String
  ) throws(KubernetesSetupFault) -> YAMLNode {
    if case .sequence(let elements)? = member(list)?.content,
      let found = elements.first(where: { $0.text("name") == name })?.member(key)
    {
      return found
    }
    throw KubernetesSetupFault(description: "\(list) has no \"\(name)\" with a \(key)")
  }

  /// A secret that stands in the file itself, or in a file that it names; the former wins.
  fileprivate func source(
    _ key: String, file: String, _ folder: String, isBase64: Bool = true
  ) throws(KubernetesSetupFault) -> SecretSource? {
    if let text = text(key) {
      guard isBase64 else { return .text(Secret(text)) }
      guard let decoded = text.base64Decoded else { throw KubernetesSetupFault(description: "\(key) is no base64") }
      return .text(Secret(decoded))
    }
    return text(file).map { .file($0.hasPrefix("/") ? $0 : "\(folder)/\($0)") }
  }
}

extension String {
  /// RFC 4648, section 4; blanks and line ends are skipped. Nil when it is something else.
  fileprivate var base64Decoded: String? {
    let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var bytes: [UInt8] = []
    var bits: UInt32 = 0
    var count = 0
    var isPadded = false
    for byte in utf8 where !" \n\r\t".utf8.contains(byte) {
      if byte == UInt8(ascii: "=") {
        isPadded = true
        continue
      }
      guard !isPadded, let digit = digits.firstIndex(of: byte) else { return nil }
      bits = bits << 6 | UInt32(digit)
      count += 6
      if count >= 8 {
        count -= 8
        bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
      }
    }
    return String(validating: bytes, as: UTF8.self)
  }
}
