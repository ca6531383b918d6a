// Where the API server is, and as whom it is asked: from inside the cluster
// (https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/), by `api_server`, or by a kubeconfig.

import Configuration
import Glibc
import HTTPClient
import Secrets
import YAML

/// An API server and who asks it.
struct KubernetesServer: Hashable, Sendable {
  /// Without a slash at its end; a path may stand behind the host.
  let url: String
  let options: HTTPClientOptions

  init(url: String, options: HTTPClientOptions) {
    self.url = String(url.prefix(url.count - url.reversed().prefix { $0 == "/" }.count))
    self.options = options
  }

  init(
    _ configuration: KubernetesDiscoveryConfiguration, _ pod: PodEnvironment
  ) throws(KubernetesSetupFault) {
    switch configuration.server {
    case .url(let url): self.init(url: url, options: configuration.httpClientOptions)
    case .kubeconfig(let path): self = try Kubeconfig.server(of: path)
    case .inCluster: self = try pod.server()
    }
  }
}

/// Why Kubernetes cannot be asked, and what the user can do.
struct KubernetesSetupFault: Error, CustomStringConvertible {
  let description: String
}

/// What a pod knows of its cluster and of itself.
struct PodEnvironment: Sendable {
  private let variable: @Sendable (String) -> String?
  /// The folder of the service account.
  private let folder: String

  /// - Parameter variable: gives variables of the environment.
  init(
    folder: String = "/var/run/secrets/kubernetes.io/serviceaccount",
    variable: @escaping @Sendable (String) -> String? = { getenv($0).map { String(cString: $0) } }
  ) {
    self.folder = folder
    self.variable = variable
  }

  /// The API server of the cluster, asked as the pod's service account.
  func server() throws(KubernetesSetupFault) -> KubernetesServer {
    guard let host = variable("KUBERNETES_SERVICE_HOST"), let port = variable("KUBERNETES_SERVICE_PORT"),
      !host.isEmpty, !port.isEmpty
    else {
      throw KubernetesSetupFault(
        description: "unable to load in-cluster configuration, KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT "
          + "must be defined; outside of a cluster, set api_server or kubeconfig_file")
    }
    let token = "\(folder)/token"
    guard access(token, R_OK) == 0 else {
      throw KubernetesSetupFault(
        description: "open \(token): \(String(cString: strerror(errno)).lowercased()); the pod needs a service account "
          + "with automountServiceAccountToken")
    }
    let name = host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]" : host
    var options = HTTPClientOptions()
    options.credentials = .bearer(.file(token))
    let ca = "\(folder)/ca.crt"
    if access(ca, F_OK) == 0 { options.tls.ca = .file(ca) }
    return KubernetesServer(url: "https://\(name):\(port)", options: options)
  }

  /// The pod's own namespace.
  func namespace() throws(KubernetesSetupFault) -> String {
    let path = "\(folder)/namespace"
    let bytes: [UInt8]
    do throws(FileFault) {
      bytes = try WholeFile.readRegular(path, limit: 4096)
    } catch {
      throw KubernetesSetupFault(description: "could not determine the pod's namespace: \(error)")
    }
    let name = String(decoding: bytes, as: UTF8.self).filter { !$0.isWhitespace }
    if name.isEmpty { throw KubernetesSetupFault(description: "could not read own namespace name (empty file)") }
    return name
  }

  /// Puts variables in the place of `$(NAME)` and `${NAME}`. One that is not set is a fault: without it, a selector that
  /// is to choose a node's pods would choose none, or all.
  func expand(_ selector: String) throws(KubernetesSetupFault) -> String {
    var expanded = ""
    var rest = selector[...]
    while let dollar = rest.firstIndex(of: "$") {
      expanded += rest[..<dollar]
      rest = rest[rest.index(after: dollar)...]
      let ends: [Character: Character] = ["(": ")", "{": "}"]
      guard let opening = rest.first, let closing = ends[opening], let end = rest.firstIndex(of: closing) else {
        expanded += "$"
        continue
      }
      let name = String(rest[rest.index(after: rest.startIndex)..<end])
      guard let value = variable(name), !value.isEmpty else {
        throw KubernetesSetupFault(
          description: "the field selector \(selector) needs the environment variable \(name), which is not set")
      }
      expanded += value
      rest = rest[rest.index(after: end)...]
    }
    return expanded + rest
  }
}
