import Foundation
import ModelCheckpoints
import ModelCore
import ModelInspection
import SystemPackage
import Testing

/// Operations of torchvision's classifiers, to the last one, as the tools count them:
/// Fixtures/forwards/make_torchvision.py.
@Suite struct TorchvisionFlopsTests {
  private struct Golden: Decodable {
    struct Operations: Decodable, Equatable {
      let macs, thop, ultralytics, readme: Int
    }

    let layers, parameters: Int
    let square, odd: Operations

    private enum CodingKeys: String, CodingKey {
      case layers, parameters
      case square = "224x224"
      case odd = "97x211"
    }
  }

  private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Fixtures/forwards")
  private static let names = [
    "alexnet", "convnext_tiny", "densenet121", "googlenet", "mnasnet1_0", "mobilenet_v2", "mobilenet_v3_large",
    "resnet18", "resnext50_32x4d", "shufflenet_v2_x0_5", "squeezenet1_1", "vgg16_bn",
  ]

  private static func module(_ name: String) throws -> Module {
    try #require(
      try Checkpoint(contentsOf: FilePath(folder.appendingPathComponent("\(name).pt").path)).preferred.module)
  }

  private static func operations(_ gflops: GFlops) -> Golden.Operations {
    func count(_ value: Double) -> Int { Int((value * 1e9).rounded()) }
    return .init(
      macs: count(gflops.macs), thop: count(gflops.thop), ultralytics: count(gflops.ultralytics),
      readme: count(gflops.readme))
  }

  @Test(arguments: names)
  func operationsAreTheTools(_ name: String) throws {
    let goldens = try JSONDecoder().decode(
      [String: Golden].self, from: Data(contentsOf: Self.folder.appendingPathComponent("torchvision.json")))
    let golden = try #require(goldens[name])
    let module = try Self.module(name)
    let info = module.modelInfo(imageSize: (224, 224))
    #expect(info.layers == golden.layers && info.parameters == golden.parameters)
    #expect(try Self.operations(#require(info.gflops)) == golden.square)
    #expect(Self.operations(try module.flops(of: [[1, 3, 97, 211]]).gflops) == golden.odd)
  }

  /// torchvision's own tables: parameters, and thousand millions of multiplications at 224 with three digits.
  @Test(arguments: [
    ("resnet18", 11_689_512, "1.814"), ("resnext50_32x4d", 25_028_904, "4.230"), ("vgg16_bn", 138_365_992, "15.470"),
    ("alexnet", 61_100_840, "0.714"), ("mobilenet_v2", 3_504_872, "0.301"), ("densenet121", 7_978_856, "2.834"),
    ("mobilenet_v3_large", 5_483_032, "0.217"),
  ])
  func publishedTables(_ name: String, _ parameters: Int, _ macs: String) throws {
    let info = try Self.module(name).modelInfo(imageSize: (224, 224))
    #expect(info.parameters == parameters)
    #expect(CFormat.string("%.3f", try #require(info.gflops).macs) == macs)
  }

  @Test func theHeadsOfTrainingDoNotRun() throws {
    let info = try Self.module("googlenet").modelInfo(imageSize: (224, 224))
    for row in info.modules {
      #expect((row.outputShape == nil) == (row.name.hasPrefix("aux")), "\(row.name)")
      if row.name.hasPrefix("aux") { #expect(row.macs == 0) }
    }
  }

  @Test(arguments: [(1 << 31) + 1, 1 << 40, Int.max, -1])
  func sizesBeyondAnyPictureAreRefused(_ size: Int) throws {
    let info = try Self.module("resnet18").modelInfo(imageSize: (size, 224))
    #expect(info.gflops == nil && info.gflopsReason != nil)
  }

  @Test(arguments: [("alexnet", 32, "features.12"), ("vgg16_bn", 31, "features.43"), ("resnet18", 0, "conv1")])
  func sizesThatDoNotFitNameTheModule(_ name: String, _ size: Int, _ path: String) throws {
    let info = try Self.module(name).modelInfo(imageSize: (size, size))
    #expect(info.gflops == nil && info.gflopsReason?.hasPrefix("\(path): ") ?? false, "\(info.gflopsReason ?? "")")
  }
}
