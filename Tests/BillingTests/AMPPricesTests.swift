import Testing
import YAML

@testable import Billing

/// Of the standard list: 40 M are free, then 0.90 for 10 M up to 2 G, 0.35 up to 252 G, 0.16 beyond.
private let tierCases: [(Double, Double, Double)] = [
  (0, 0, 0), (-1, 0, 0), (40e6, 0, 0), (50e6, 0, 0.9), (2e9, 0, 176.4), (3e9, 0, 176.4 + 35),
  (252e9, 0, 176.4 + 8750), (352e9, 0, 176.4 + 8750 + 1600),
  // Beside others, who have taken the first tiers.
  (10e6, 30e6, 0), (20e6, 30e6, 0.9), (10e6, 2e9, 0.35), (10e6, 252e9, 0.16), (20e6, 1.99e9, 0.9 + 0.35),
  (10e6, -5, 0),
]

@Test(arguments: tierCases)
func tiers(_ samples: Double, _ others: Double, _ cost: Double) {
  let found = AMPPrices.standard.cost(samplesPerMonth: samples, beside: others)
  #expect((found - cost).magnitude < 1e-6, "\(found)")
}

/// 10,000 series at 15 s: 158 dollars, but for what is free.
@Test func aMonthOfSeries() {
  let amount = CostReport.Amount(series: 10_000, samplesPerDay: 10_000 * 86_400 / 15)
  #expect((amount.samplesPerMonth - 1.752e9).magnitude < 1)
  #expect(AMPPrices.standard.cost(samplesPerMonth: amount.samplesPerMonth, beside: 40e6).fixed(2) == "157.68")
  #expect(AMPPrices.standard.cost(samplesPerMonth: amount.samplesPerMonth).fixed(2) == "154.08")
}

@Test func readsPrices() throws {
  let text = """
    currency: EUR
    date: "2027-01"
    source: our contract
    samples_ingested: [{up_to: 1e6, per_10_million: 2}, {per_10_million: 1.5}]
    """
  let prices = try AMPPrices(Array(text.utf8), file: "prices.yml")
  #expect(prices.currency == "EUR" && prices.date == "2027-01" && prices.source == "our contract")
  #expect(prices.cost(samplesPerMonth: 11e6) == 0.2 + 1.5)
  let least = try AMPPrices(Array("samples_ingested: [{per_10_million: 1}]".utf8), file: "prices.yml")
  #expect(least.source == "prices.yml" && least.date == "unknown" && least.currency == "USD")
}

@Test(arguments: [
  ("", "samples_ingested: expected a list of tiers"),
  ("samples_ingested: []", "samples_ingested: expected a list of tiers"),
  ("samples_ingested: [{}]", "samples_ingested[0].per_10_million: expected a price that is not negative"),
  ("samples_ingested: [{per_10_million: -1}]", "expected a price that is not negative"),
  ("samples_ingested: [{per_10_million: .nan}]", "expected a price that is not negative"),
  ("samples_ingested: [{per_10_million: 1, up_to: 5}]", "samples_ingested[0].up_to: the last tier has no end"),
  ("samples_ingested: [{per_10_million: 1}, {per_10_million: 1}]", "[0].up_to: only the last tier has no end"),
  (
    "samples_ingested: [{per_10_million: 1, up_to: 5}, {per_10_million: 1, up_to: 5}, {per_10_million: 1}]",
    "samples_ingested[1].up_to: must be greater than where the tier begins"
  ),
  ("samples_ingested: [{per_10_million: 1, up_to: .inf}, {per_10_million: 1}]", "[0].up_to: must be greater"),
  ("price: 5", "price: unknown key"), ("a: [", "p.yml:2:1"),
])
func refusesPrices(_ text: String, _ fault: String) {
  let error = #expect(throws: ConfigurationError.self) { try AMPPrices(Array(text.utf8), file: "p.yml") }
  #expect(error?.description.contains(fault) == true, "\(error?.description ?? "")")
}

private let numberCases: [(Double, String, String)] = [
  (0, "0.00", "0"), (1.005, "1.00", "1"), (0.999, "1.00", "1"), (-0.001, "0.00", "0"), (-12.5, "-12.50", "-13"),
  (999, "999.00", "999"), (1234.5678, "1234.57", "1,235"), (-123_456, "-123456.00", "-123,456"),
  (1e15, "1000000000000000.00", "1,000,000,000,000,000"), (.infinity, "inf", "inf"), (.nan, "nan", "nan"),
]

@Test(arguments: numberCases)
func numbersForPeople(_ number: Double, _ fixed: String, _ grouped: String) {
  #expect(number.fixed(2) == fixed && number.grouped == grouped)
}
