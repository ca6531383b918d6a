/// A report with prices.
public struct CostDocument: Sendable, Equatable {
  public var report: CostReport
  public var prices: AMPPrices
  /// Samples a month that the account has from elsewhere: they fill the first tiers.
  public var accountSamples: Double
  /// Whose tables are shown; nil: the first workspace's.
  public var remoteName: String?

  public init(
    _ report: CostReport, _ prices: AMPPrices = .standard, accountSamples: Double = 0, remoteName: String? = nil
  ) {
    self.report = report
    self.prices = prices
    self.accountSamples = accountSamples
    self.remoteName = remoteName
  }

  /// Nil when the report has none of that name.
  public var remote: CostReport.Remote? { report.remote(named: remoteName) }

  /// What a remote's samples cost in a month.
  public func cost(_ remote: CostReport.Remote) -> Double {
    prices.cost(samplesPerMonth: remote.total.samplesPerMonth, beside: accountSamples)
  }

  /// The part of a remote's cost that is a row's: as large as its part of the samples.
  public func cost(_ row: CostReport.Amount, of remote: CostReport.Remote) -> Double {
    let total = remote.total.samplesPerDay
    return total > 0 ? cost(remote) * row.samplesPerDay / total : 0
  }

  /// What a month would cost more without the rule.
  public func saving(_ rule: CostReport.Rule, of remote: CostReport.Remote) -> Double {
    prices.cost(
      samplesPerMonth: rule.dropped.samplesPerMonth, beside: accountSamples + remote.total.samplesPerMonth)
  }

  /// What is to be known of the figures, a sentence each.
  public var notes: [String] {
    var notes = [
      "Prices of \(prices.date) (\(prices.source)). An estimate: series of the last scrapes times their intervals, and "
        + "a month of \(AMPPrices.daysPerMonth.fixed(1)) days; queries and storage cost extra."
    ]
    if let first = prices.tiers.first, first.per10Million == 0, first.end.isFinite, accountSamples < first.end {
      notes.append(
        "The account's first \(first.end.grouped) samples a month are free, and are taken off here; "
          + "where the account has other samples, say how many.")
    }
    if report.examined < report.series {
      notes.append(
        "\(report.examined) of \(report.series) series were looked at; the others are taken to be like them.")
    }
    if let cluster = report.cluster {
      notes.append("Of the replicas of cluster \(cluster) AMP bills one: the figures are of all of them together.")
    }
    return notes
  }
}

extension Double {
  /// With so many digits behind the point, the last one rounded; as it is when it is not a number of use.
  public func fixed(_ digits: Int) -> String {
    let factor = (0..<digits).reduce(1.0) { product, _ in product * 10 }
    let scaled = (magnitude * factor).rounded()
    guard scaled < 0x1p62 else { return "\(self)" }
    let all = String(Int(scaled))
    let padded = String(repeating: "0", count: max(digits + 1 - all.utf8.count, 0)) + all
    let sign = self < 0 && scaled > 0 ? "-" : ""
    return digits == 0 ? sign + padded : sign + padded.dropLast(digits) + "." + padded.suffix(digits)
  }

  /// A whole number with commas: 1,234,567.
  public var grouped: String {
    let digits = Array(fixed(0).utf8)
    guard rounded().magnitude < 0x1p62 else { return fixed(0) }
    var text: [UInt8] = []
    for (place, digit) in digits.enumerated() {
      let left = digits.count - place
      if place > 0, left % 3 == 0, digits[place - 1] != UInt8(ascii: "-") { text.append(UInt8(ascii: ",")) }
      text.append(digit)
    }
    return String(decoding: text, as: UTF8.self)
  }
}
