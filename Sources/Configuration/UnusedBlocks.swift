// Blocks that are not for an agent. What an agent of Prometheus reads without acting on it (the Go runtime, the TSDB,
// the OTLP receiver that no flag turns on) is checked here and has no effect. What is for servers (rules, alerting,
// remote read) is refused, as there, or ignored when the user says so.

import YAML

enum UnusedBlocks {
  static let keys = ["runtime", "storage", "otlp"]
  static let serverKeys = ["rule_files", "alerting", "remote_read"]

  private static let runtimeKeys = BlockKeys(served: ["gogc"])
  private static let storageKeys = BlockKeys(served: ["tsdb", "exemplars"])
  private static let tsdbKeys = BlockKeys(
    served: ["out_of_order_time_window", "retention"], known: ["stale_series_compaction_threshold"])
  private static let retentionKeys = BlockKeys(served: ["time", "size"], known: ["percentage"])
  private static let exemplarKeys = BlockKeys(served: ["max_exemplars"])
  private static let alertingKeys = BlockKeys(served: ["alertmanagers", "alert_relabel_configs"])

  /// Checks the blocks that have no effect.
  static func check(_ top: BlockReader, _ global: GlobalConfiguration) {
    if let runtime = top.block("runtime", runtimeKeys) { _ = runtime.integer("gogc") }
    if let storage = top.block("storage", storageKeys) {
      if let tsdb = storage.block("tsdb", tsdbKeys) {
        _ = tsdb.duration("out_of_order_time_window")
        if let retention = tsdb.block("retention", retentionKeys) {
          _ = retention.duration("time")
          _ = retention.byteSize("size")
        }
      }
      if let exemplars = storage.block("exemplars", exemplarKeys) { _ = exemplars.integer("max_exemplars") }
    }
    checkOTLP(top, global)
  }

  // MARK: OTLP

  private static let otlpSwitches = [
    "promote_all_resource_attributes", "keep_identifying_resource_attributes", "convert_histograms_to_nhcb",
    "promote_scope_metadata", "label_name_underscore_sanitization", "label_name_preserve_multiple_underscores",
  ]
  private static let otlpKeys = BlockKeys(
    served: otlpSwitches + ["promote_resource_attributes", "ignore_resource_attributes", "translation_strategy"])
  /// Names by which metrics may go without being made legacy ones.
  private static let utf8Strategies = ["NoTranslation", "NoUTF8EscapingWithSuffixes"]
  private static let strategies =
    ["UnderscoreEscapingWithSuffixes", "UnderscoreEscapingWithoutSuffixes"] + utf8Strategies

  private static func checkOTLP(_ top: BlockReader, _ global: GlobalConfiguration) {
    guard let block = top.block("otlp", otlpKeys) else { return }
    for key in otlpSwitches { _ = block.bool(key) }
    let promoted = attributes(block, "promote_resource_attributes", "promoted")
    let ignored = attributes(block, "ignore_resource_attributes", "ignored")
    let promotesAll = block.bool("promote_all_resource_attributes") ?? false
    if promotesAll, !promoted.isEmpty {
      block.refuse(
        "promote_resource_attributes",
        "'promote_all_resource_attributes' and 'promote_resource_attributes' cannot be configured simultaneously")
    } else if !promotesAll, !ignored.isEmpty {
      block.refuse(
        "ignore_resource_attributes",
        "'ignore_resource_attributes' cannot be configured unless 'promote_all_resource_attributes' is true")
    }
    guard let strategy = block.string("translation_strategy"), !strategy.isEmpty else { return }
    if !strategies.contains(strategy) {
      block.refuse("translation_strategy", "unsupported OTLP translation strategy \"\(shown(strategy))\"")
    } else if global.names.scheme == .legacy, utf8Strategies.contains(strategy) {
      block.refuse(
        "translation_strategy", "OTLP translation strategy \"\(strategy)\" is not allowed when UTF8 is disabled")
    }
  }

  private static func attributes(_ block: BlockReader, _ key: String, _ kind: String) -> [String] {
    var seen: Set<String> = []
    return block.strings(key) { text in
      if text.isEmpty { return "empty \(kind) OTel resource attribute" }
      return seen.insert(text).inserted ? nil : "duplicated \(kind) OTel resource attribute \"\(shown(text))\""
    }
  }

  // MARK: For servers

  /// Refuses what is for servers, unless it is empty.
  static func refuseServerBlocks(_ top: BlockReader) {
    for key in ["rule_files", "remote_read"] where !top.elements(key).isEmpty { refuse(top, key) }
    guard let alerting = top.block("alerting", alertingKeys) else { return }
    if alertingKeys.served.contains(where: { !alerting.elements($0).isEmpty }) { refuse(top, "alerting") }
  }

  private static func refuse(_ top: BlockReader, _ key: String) {
    top.refuse(key, "field \(key) is not allowed in agent mode; --config.ignore-server-blocks goes on without it")
  }
}
