import AWS
import Secrets
import Testing

@testable import Configuration

@Test func awsDiscoveriesAreRead() throws {
  let text = job(
    "ec2_sd_configs:",
    "- {region: r-1, access_key: a, secret_key: b, port: 9100, refresh_interval: 5m,",
    "   endpoint: 'https://ec2.example/', filters: [{name: 'tag:x', values: [a, b]}]}", "ecs_sd_configs:",
    "- {region: r-1, clusters: [c], request_concurrency: 3, role_arn: r}")
  let read = try #require(try configuration(text).scrapeConfigs.first)
  let ec2 = try #require(read.ec2Discoveries.first)
  #expect(ec2.aws.credentials.accessKey == "a" && ec2.aws.credentials.secretKey == Secret("b"))
  #expect(ec2.aws.port == 9100 && ec2.aws.refreshInterval == .seconds(300))
  #expect(ec2.filters == [EC2DiscoveryConfiguration.Filter(name: "tag:x", values: ["a", "b"])])
  let ecs = try #require(read.ecsDiscoveries.first)
  #expect(ecs.clusters == ["c"] && ecs.requestConcurrency == 3 && ecs.aws.credentials.roleARN == "r")
  #expect(ecs.aws.port == 80 && ecs.aws.refreshInterval == .seconds(60))
}

@Test(arguments: [
  BadText(
    job("ec2_sd_configs:", "- {access_key: a}"), "4:18", "scrape_configs[0].ec2_sd_configs[0].access_key",
    "must provide"),
  BadText(
    job("ec2_sd_configs:", "- {port: 65536}"), "4:12", "scrape_configs[0].ec2_sd_configs[0].port", "expected a port"),
  BadText(
    job("ec2_sd_configs:", "- {endpoint: x}"), "4:16", "scrape_configs[0].ec2_sd_configs[0].endpoint", "invalid URL"),
  BadText(
    job("ec2_sd_configs:", "- {filters: [{name: a, values: []}]}"), "4:34",
    "scrape_configs[0].ec2_sd_configs[0].filters[0].values", "filter values cannot be empty"),
  BadText(
    job("ecs_sd_configs:", "- {request_concurrency: 0}"), "4:27",
    "scrape_configs[0].ecs_sd_configs[0].request_concurrency", "must be greater than 0"),
])
func badAWSDiscoveries(_ bad: BadText) { expectOneFault(bad) }
