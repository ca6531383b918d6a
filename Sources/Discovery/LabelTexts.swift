/// An address as URLs have it: IPv6 in brackets, as Go's net.JoinHostPort.
func hostAndPort(_ host: String, _ port: some BinaryInteger) -> String {
  host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
}

/// With an underscore for each character that a label's name did not have in Prometheus 2.
func labelName(_ text: String) -> String {
  String(
    String.UnicodeScalarView(
      text.unicodeScalars.map { scalar in
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9", "_": scalar
        default: "_"
        }
      }))
}
