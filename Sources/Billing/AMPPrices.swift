// What Amazon Managed Service for Prometheus charges for samples (https://aws.amazon.com/prometheus/pricing/), as data.
// Another region, a discount or next year's list come in a file of the same form:
//
//     currency: USD
//     date: "2026-08"
//     source: https://aws.amazon.com/prometheus/pricing/, us-east-1
//     samples_ingested:            # of a month, from the first sample on
//     - {up_to: 40000000, per_10_million: 0}
//     - {up_to: 2000000000, per_10_million: 0.90}
//     - {up_to: 252000000000, per_10_million: 0.35}
//     - {per_10_million: 0.16}     # all beyond

import YAML

/// A list of prices for samples that are ingested, in tiers.
public struct AMPPrices: Sendable, Equatable {
  /// Samples of a month up to a number, and what they cost.
  public struct Tier: Sendable, Equatable {
    /// Samples a month where the next tier begins; infinity for the last tier.
    public var end: Double
    public var per10Million: Double
  }

  public var currency = "USD"
  /// When the prices were looked up.
  public var date: String
  /// Where.
  public var source: String
  /// By ascending ends; the last one has none.
  public var tiers: [Tier]

  /// Those of the region us-east-1, with what AWS gives each account for nothing.
  public static let standard = AMPPrices(
    date: "2026-08", source: "https://aws.amazon.com/prometheus/pricing/, us-east-1",
    tiers: [
      Tier(end: 40e6, per10Million: 0),
      Tier(end: 2e9, per10Million: 0.90),
      Tier(end: 252e9, per10Million: 0.35),
      Tier(end: .infinity, per10Million: 0.16),
    ])

  /// What AWS bills as a month: the 365th part of a year's days, twelve times.
  public static let daysPerMonth = 365.0 / 12

  /// What a month costs.
  ///
  /// - Parameters:
  ///   - samplesPerMonth: that are ingested.
  ///   - others: samples a month that the account has beside them, which fill the first tiers.
  public func cost(samplesPerMonth: Double, beside others: Double = 0) -> Double {
    cost(upTo: max(others, 0) + max(samplesPerMonth, 0)) - cost(upTo: max(others, 0))
  }

  private func cost(upTo samples: Double) -> Double {
    var cost = 0.0
    var start = 0.0
    for tier in tiers where samples > start {
      cost += (min(samples, tier.end) - start) / 10e6 * tier.per10Million
      start = tier.end
    }
    return cost
  }
}

// MARK: The file

extension AMPPrices {
  private static let sizeLimit = 1 << 20
  private static let keys = BlockKeys(served: ["currency", "date", "source", "samples_ingested"])
  private static let tierKeys = BlockKeys(served: ["up_to", "per_10_million"])

  /// Reads a list of prices.
  ///
  /// - Throws: `ConfigurationError` with all faults of the file, or `FileFault` when it cannot be read.
  public init(file: String) throws {
    try self.init(try WholeFile.read(file, limit: Self.sizeLimit), file: file)
  }

  init(_ text: [UInt8], file: String) throws(ConfigurationError) {
    self = try BlockReader.read(text, file: file, Self.keys) { root in
      var prices = AMPPrices(date: root.string("date") ?? "unknown", source: root.string("source") ?? file, tiers: [])
      if let currency = root.string("currency") { prices.currency = currency }
      let blocks = root.blocks("samples_ingested", Self.tierKeys)
      if blocks.isEmpty { root.refuse("samples_ingested", "expected a list of tiers") }
      for (index, block) in blocks.enumerated() {
        let end = block.number("up_to")
        let isLast = index == blocks.count - 1
        if (end == nil) != isLast {
          block.refuse("up_to", isLast ? "the last tier has no end" : "only the last tier has no end")
        } else if let end, end <= prices.tiers.last?.end ?? 0 || !end.isFinite {
          block.refuse("up_to", "must be greater than where the tier begins")
        }
        let price = block.number("per_10_million")
        if price.map({ $0 >= 0 && $0.isFinite }) != true {
          block.refuse("per_10_million", "expected a price that is not negative")
        }
        prices.tiers.append(Tier(end: end ?? .infinity, per10Million: price ?? 0))
      }
      return prices
    }
  }
}
