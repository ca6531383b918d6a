import Exposition
import Glibc
import HTTPClient
import Scraping
import Synchronization

/// A page whose metrics can be had without a text.
protocol CollectedPage: Sendable {
  /// Collects, and calls `done` once, on any thread, within about that time.
  func collect(within time: Duration, _ done: @escaping @Sendable (CollectedMetrics) -> Void)
}

/// The agent's own pages of metrics, where a target is one of them.
final class OwnPages: OwnMetrics {
  private let pages: [String: any CollectedPage]
  /// `host:port` of the listeners; empty until they listen, and where a scrape must authenticate itself.
  private let listeners = Mutex<[String]>([])

  /// - Parameter pages: by their paths.
  init(_ pages: [String: any CollectedPage]) { self.pages = pages }

  /// The listeners stand; they are open to everybody.
  func listen(on addresses: [String]) { listeners.withLock { $0 = addresses } }

  func isShown(at url: HTTPURL) -> Bool {
    guard pages[url.target] != nil else { return false }
    return listeners.withLock { $0 }.contains { listener in
      guard let colon = listener.lastIndex(of: ":"), Int(listener[listener.index(after: colon)...]) == url.port else {
        return false
      }
      let host = listener[..<colon].drop { $0 == "[" }.prefix { $0 != "]" }
      switch host {
      case "0.0.0.0", "::": return Self.isOfThisHost(url.host)
      case "127.0.0.1": return url.host == "localhost" || url.host == "127.0.0.1"
      default: return url.host == host
      }
    }
  }

  func collect(_ url: HTTPURL, within time: Duration, _ done: @escaping @Sendable (CollectedMetrics) -> Void) {
    guard let page = pages[url.target] else { return done(CollectedMetrics([], of: url)) }
    page.collect(within: time, done)
  }

  /// Whether the name or address leads to this host, as far as is known without asking anybody.
  private static func isOfThisHost(_ host: String) -> Bool {
    if host == "localhost" || host.hasPrefix("127.") || host == "::1" { return true }
    var list: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&list) == 0 else { return false }
    defer { freeifaddrs(list) }
    var next = list
    while let entry = next {
      next = entry.pointee.ifa_next
      guard let address = entry.pointee.ifa_addr else { continue }
      let family = Int32(address.pointee.sa_family)
      guard family == AF_INET || family == AF_INET6 else { continue }
      let length = family == AF_INET ? MemoryLayout<sockaddr_in>.size : MemoryLayout<sockaddr_in6>.size
      var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
      guard
        getnameinfo(address, socklen_t(length), &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0
      else { continue }
      if String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) == host { return true }
    }
    return false
  }
}
