extension Duration {
  /// As Go writes a time.Duration: "15s", "1m0s", "1h0m0s", "500ms".
  var goText: String {
    let nanoseconds = nanoseconds
    if nanoseconds == 0 { return "0s" }
    let units: [(name: String, length: Int64)] = [("ns", 1), ("µs", 1000), ("ms", 1_000_000)]
    if let unit = units.last(where: { nanoseconds < 1_000_000_000 && nanoseconds >= $0.length }) {
      return Duration.nanoseconds(nanoseconds * (1_000_000_000 / unit.length)).secondsText + unit.name
    }
    let seconds = Duration.nanoseconds(nanoseconds % 60_000_000_000).secondsText + "s"
    let minutes = nanoseconds / 60_000_000_000
    if minutes == 0 { return seconds }
    return minutes < 60 ? "\(minutes)m\(seconds)" : "\(minutes / 60)h\(minutes % 60)m\(seconds)"
  }
}
