import Bytes
import Glibc
import NIOSSL

/// The server that a certificate must be of, and whether it is (RFC 9525), by the rules and in the words of Go's
/// crypto/x509: by subject alternative names only, with `*` as the whole first label.
struct PeerIdentity: Sendable {
  /// In lower case, without a dot at its end.
  private let name: String
  private let address: IPAddress?

  init(_ host: String) {
    let lowercased = host.lowercased()
    name = lowercased.hasSuffix(".") ? String(lowercased.dropLast()) : lowercased
    address = IPAddress(name)
  }

  /// What the server is told that we want to talk to; nil for addresses (RFC 6066, section 3).
  var indication: String? { address == nil && !name.isEmpty ? name : nil }

  /// Why the certificate is not of this server; nil when it is.
  func fault(of certificate: NIOSSLCertificate) -> String? {
    var names: [String] = []
    var addresses: [[UInt8]] = []
    for alternative in certificate._subjectAlternativeNames() {
      switch alternative.nameType {
      case .dnsName: names.append(String(decoding: alternative.contents, as: UTF8.self).lowercased())
      case .ipAddress: addresses.append(Array(alternative.contents))
      default: break
      }
    }
    if let address {
      if addresses.contains(address.bytes) { return nil }
      if addresses.isEmpty {
        return "x509: cannot validate certificate for \(name) because it doesn't contain any IP SANs"
      }
      return mismatch(addresses.map(PeerIdentity.text))
    }
    if names.contains(where: matches) { return nil }
    if names.isEmpty, addresses.isEmpty {
      return "x509: certificate relies on legacy Common Name field, use SANs instead"
    }
    return names.isEmpty ? "x509: certificate is not valid for any names, but wanted to match \(name)" : mismatch(names)
  }

  private func mismatch(_ names: [String]) -> String {
    "x509: certificate is valid for \(names.prefix(5).map(PeerIdentity.shown).joined(separator: ", ")), not \(name)"
  }

  private func matches(_ pattern: String) -> Bool {
    let labels = name.split(separator: ".", omittingEmptySubsequences: false)
    let wanted = pattern.split(separator: ".", omittingEmptySubsequences: false)
    guard labels.count == wanted.count, !labels.contains(where: \.isEmpty) else { return false }
    return zip(labels, wanted).enumerated().allSatisfy { place, pair in
      place == 0 && pair.1 == "*" && labels.count > 1 || pair.0.utf8.elementsEqual(pair.1.utf8)
    }
  }

  /// A name of the server's making, as an error may show it.
  private static func shown(_ name: String) -> String {
    String(decoding: name.utf8.prefix(100).map { 0x21..<0x7f ~= $0 ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
  }

  private static func text(_ address: [UInt8]) -> String {
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    guard [4, 16].contains(address.count),
      let shown = inet_ntop(address.count == 4 ? AF_INET : AF_INET6, address, &text, socklen_t(text.count))
    else { return "?" }
    return String(cString: shown)
  }
}
