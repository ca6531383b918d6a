// swift-tools-version: 6.2
import PackageDescription

// The house, top floor first: a target may depend only on targets further down.
// docs/architecture.md says what lives in each.

let swift: [SwiftSetting] = [.enableExperimentalFeature("Lifetimes")]

let nio: [Target.Dependency] = [
  .product(name: "NIOCore", package: "swift-nio"),
  .product(name: "NIOPosix", package: "swift-nio"),
  .product(name: "NIOHTTP1", package: "swift-nio"),
]
let tls: [Target.Dependency] = [
  .product(name: "NIOTLS", package: "swift-nio"),
  .product(name: "NIOSSL", package: "swift-nio-ssl"),
]
let log: Target.Dependency = .product(name: "Logging", package: "swift-log")

func floor(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: swift)
}

func system(_ name: String, pkgConfig: String, apt: String) -> Target {
  .systemLibrary(name: name, pkgConfig: pkgConfig, providers: [.apt([apt])])
}

/// Modules whose tests read files from their folder `Fixtures`.
let fixtures: Set<String> = []

func tests(of name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .testTarget(
    name: "\(name)Tests", dependencies: [.target(name: name), "TestSupport"] + dependencies,
    exclude: fixtures.contains(name) ? ["Fixtures"] : [], swiftSettings: swift)
}

let package = Package(
  name: "pilotfish",
  dependencies: [
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
  ],
  targets: [
    .executableTarget(
      name: "pilotfish",
      dependencies: [
        "Billing", "Web", "Workspaces", "RemoteWrite", "Scraping", "Discovery", "Configuration", "Selectors",
        "HostMetrics", "ContainerMetrics", "AWS", "HTTPClient", "Relabeling", "YAML", "Kernel", "Exposition", "Flags",
        "Logs", "Bytes", log,
      ] + nio,
      swiftSettings: swift),

    floor("Billing", ["Web", "Scraping", "Relabeling", "YAML", "Exposition", "Bytes"]),
    floor("Web", ["Secrets", "YAML", "Kernel", "Flags", "Compression", "Bytes", "CCrypt"] + nio + tls + [log]),
    floor("Workspaces", ["RemoteWrite", "AWS", "HTTPClient", "YAML", "Exposition", "Bytes"] + nio),
    floor("RemoteWrite", ["HTTPClient", "Relabeling", "Kernel", "Exposition", "Compression", "Bytes"] + nio + [log]),
    floor(
      "Scraping", ["HTTPClient", "Discovery", "Relabeling", "Configuration", "Selectors", "Exposition", "Bytes"] + nio),
    floor(
      "Discovery",
      ["AWS", "Configuration", "HTTPClient", "Secrets", "Relabeling", "YAML", "Kernel", "Exposition", "Bytes", log]
        + nio),
    floor("Configuration", ["AWS", "HTTPClient", "Secrets", "Relabeling", "YAML", "Exposition", "Flags"]),
    floor("Selectors", ["Exposition", "Patterns", "Bytes"]),
    floor("Relabeling", ["Exposition", "Patterns", "Bytes"]),
    floor("HostMetrics", ["Kernel", "Exposition", "Flags", "Patterns", "Bytes", log]),
    floor("ContainerMetrics", ["AWS", "Kernel", "Exposition", "Bytes", log]),
    floor("AWS", ["HTTPClient", "Secrets", "YAML", "Bytes", "CNettle", log] + nio),
    floor("HTTPClient", ["Secrets", "YAML", "Kernel", "Compression", "Bytes"] + nio + tls),
    floor("Secrets", ["YAML", "Kernel"] + tls),
    floor("YAML", ["CYAML"]),
    floor("Kernel", ["Bytes", "CLinux", "CSystemd"]),
    floor("Exposition", ["Bytes"]),
    floor("Logs", ["Bytes", log]),
    floor("Flags"),
    floor("Patterns", ["CRE2"]),
    floor("Compression", ["Bytes", "CZlib", "CSnappy"]),
    floor("Bytes"),

    .executableTarget(
      name: "Benchmarks",
      dependencies: [
        "Scraping", "RemoteWrite", "HTTPClient", "Kernel", "Exposition", "Compression", "Bytes", "CAllocations", log,
      ] + nio,
      path: "Benchmarks/Benchmarks", swiftSettings: swift),
    .executableTarget(
      name: "Transport", dependencies: ["HTTPClient", "CAllocations"] + nio, path: "Benchmarks/Transport",
      swiftSettings: swift),
    .target(name: "CAllocations", path: "Benchmarks/CAllocations"),

    .executableTarget(
      name: "Fuzz",
      dependencies: [
        "HostMetrics", "ContainerMetrics", "RemoteWrite", "Discovery", "Configuration", "AWS", "HTTPClient", "YAML",
        "Kernel", "Exposition", "Flags", "Compression", "Bytes", log,
      ] + nio,
      path: "Tests/Fuzz", swiftSettings: swift),

    .target(name: "CLinux"),
    .target(name: "CRE2", dependencies: ["RE2"]),
    system("RE2", pkgConfig: "re2", apt: "libre2-dev"),
    system("CSystemd", pkgConfig: "libsystemd", apt: "libsystemd-dev"),
    system("CZlib", pkgConfig: "zlib", apt: "zlib1g-dev"),
    system("CSnappy", pkgConfig: "snappy", apt: "libsnappy-dev"),
    system("CCrypt", pkgConfig: "libcrypt", apt: "libcrypt-dev"),
    system("CNettle", pkgConfig: "nettle", apt: "nettle-dev"),
    system("CYAML", pkgConfig: "yaml-0.1", apt: "libyaml-dev"),

    tests(
      of: "Billing",
      ["RemoteWrite", "Scraping", "Discovery", "Configuration", "Relabeling", "YAML", "Exposition", "Bytes", log] + nio),
    tests(of: "Web", ["Secrets", "YAML", .product(name: "NIOEmbedded", package: "swift-nio"), log] + nio + tls),
    tests(of: "Workspaces", ["AWS", "HTTPClient", "RemoteWrite", "Secrets", "Exposition", "Bytes", log] + nio),
    tests(of: "RemoteWrite", nio),
    tests(of: "Scraping", ["Configuration"]),
    tests(
      of: "Discovery",
      ["AWS", "Secrets", "Configuration", "HTTPClient", "YAML", "Exposition", "Bytes", log] + nio),
    tests(of: "Configuration", ["AWS", "HTTPClient", "Secrets", "YAML", "Flags", "Relabeling", "Exposition"]),
    tests(of: "Selectors", ["Exposition"]),
    tests(of: "Relabeling", ["Exposition", "Bytes"]),
    tests(of: "HostMetrics", ["TestBus", log]),
    tests(of: "ContainerMetrics", ["AWS", "HTTPClient", "Exposition", "Bytes", log] + nio),
    tests(of: "AWS", ["HTTPClient", "Secrets", "Bytes", log] + nio),
    tests(of: "HTTPClient", nio + tls + ["Secrets", "Compression", "Bytes"]),
    tests(of: "Kernel", ["TestBus"]),
    .target(
      name: "TestBus", dependencies: ["TestSupport", "Kernel", "CSystemd"], path: "Tests/TestBus", swiftSettings: swift),
    .target(name: "TestSupport", path: "Tests/TestSupport"),
    tests(of: "Exposition"),
    tests(of: "Logs"),
    tests(of: "Flags"),
    tests(of: "Patterns"),
    tests(of: "Compression", ["Bytes"]),
    tests(of: "Bytes"),
  ],
  swiftLanguageModes: [.v6],
  cxxLanguageStandard: .cxx17
)
