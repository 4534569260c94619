import ModelArchitectures
import ModelCheckpoints
import ModelCore
import ModelSurgery
import SystemPackage
import Testing

/// A preview says what fusing then does.
@Suite struct FusionPreviewTests {
  private static let folder = FilePath(#filePath).removingLastComponent().removingLastComponent().appending("Fixtures")

  private func expectSame(_ module: Module) throws {
    let preview = module.fusionPreview()
    var fused = module
    let report = try fused.fuse()
    #expect(preview.fused == report.fused && preview.refused == report.refused)
    #expect(preview.parametersBefore == report.parametersBefore && preview.parametersAfter == report.parametersAfter)
  }

  @Test(
    arguments: [
      "conv_bn_small.pt", "yolov5_blocks.pt", "yolov5_tiny.pt", "yolov5_tiny_fused.pt", "trap_activation_between.pt",
      "trap_bn_first.pt", "trap_bn_twice_after_relu.pt", "trap_channels_differ.pt", "trap_conv_twice.pt",
      "trap_no_statistics.pt", "trap_weight_twice.pt",
    ])
  func files(file: String) throws {
    let checkpoint = try Checkpoint(contentsOf: Self.folder.appending(file))
    try expectSame(try #require(checkpoint.preferred.module))
    #expect(try checkpoint.fusionPreview().fused == checkpoint.preferred.module?.fusionPreview().fused)
  }

  @Test(arguments: ["yolov5n", "yolov6n", "resnet18", "densenet121", "vgg11_bn", "vit_b_16"])
  func architectures(name: String) throws { try expectSame(Architecture(named: name).module()) }

  @Test func stateDicts() throws {
    let module = try Architecture(named: "resnet18").module()
    #expect(try module.stateDict().fusionPreview().fused.count == 20)
    let unknown = StateDict(["weight": try Tensor([1, 2])])
    #expect(throws: ModelError.self) { try unknown.fusionPreview() }
  }
}
