// swift-tools-version: 6.1
import PackageDescription

// A package that depends on ModelUtils, as an inference program would.

let package = Package(
  name: "Consumer",
  platforms: [.macOS(.v15)],
  dependencies: [.package(name: "ModelUtils", path: "../..")],
  targets: [
    .executableTarget(
      name: "consumer", dependencies: [.product(name: "ModelUtils", package: "ModelUtils")], path: "Sources")
  ]
)
