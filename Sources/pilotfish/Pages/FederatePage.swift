// `/federate` (https://prometheus.io/docs/prometheus/latest/federation/): what the targets showed last.

import Exposition
import RemoteWrite
import Scraping
import Selectors
import Web

extension RemoteStorage: SeriesLabels {}

enum FederatePage {
  static let refusal: WebHandler = { _, respond in
    respond(.text(403, "Federation is not enabled: start the agent with --web.enable-federation."))
  }

  /// `match[]`: selectors; a series is shown when one selects it.
  static func handler(_ scraping: ScrapeManager, _ storage: RemoteStorage) -> WebHandler {
    { request, respond in
      var selectors: [Selector] = []
      do throws(SelectorError) {
        for text in request.parameters("match[]") { selectors.append(try Selector(text)) }
      } catch {
        return respond(.text(400, "\(error)"))
      }
      let escaping = escaping(request)
      scraping.federate(selectors, labels: storage, allowsUTF8: escaping == .allowUTF8) { body in
        guard let body else { return respond(.text(503, "Too many ask for /federate at a time; try again later.")) }
        let type = "text/plain; version=0.0.4; charset=utf-8; escaping=\(escaping.rawValue)"
        respond(WebResponse(contentType: type, body: body))
      }
    }
  }

  /// How the asker wants names that are not legacy ones: by the first that it says of it.
  private static func escaping(_ request: WebRequest) -> NameEscaping {
    for parameter in request.list("accept").split(whereSeparator: { ";, ".contains($0) }) {
      let pair = parameter.split(separator: "=", maxSplits: 1)
      guard pair.count == 2, pair[0] == "escaping", let escaping = NameEscaping(rawValue: String(pair[1])) else {
        continue
      }
      return escaping == .allowUTF8 ? .allowUTF8 : .underscores
    }
    return .underscores
  }
}
