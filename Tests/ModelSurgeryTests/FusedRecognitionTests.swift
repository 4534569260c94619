import Foundation
import ModelArchitectures
import ModelCheckpoints
import ModelCore
import TestSupport
import Testing

@testable import ModelSurgery

/// State dicts of fused networks, which no file describes.
@Suite struct FusedRecognitionTests {
  private func fused(_ name: String, classes: Int? = nil, merging: Bool = false) throws -> Module {
    var module = try Architecture(named: name).module(classes: classes)
    if merging { try module.reparameterize() }
    try module.fuse()
    return module
  }

  private func entries(_ module: Module) -> Int {
    module.stateDict().names.filter { !$0.hasSuffix(".num_batches_tracked") }.count
  }

  /// A network of each family; the tables hold all of them, and a wrong one would make a network unknown.
  @Test(arguments: [
    "yolov5n", "yolov5s-seg", "yolov5n-cls", "yolov6n", "yolov6lite_s", "resnet18", "googlenet", "mobilenet_v3_small",
    "efficientnet_b0", "regnet_y_400mf", "shufflenet_v2_x0_5", "mnasnet0_5", "vgg11_bn",
  ]) func theTables(name: String) throws {
    let module = try fused(name)
    #expect(Architecture.names(ofFusedEntries: entries(module)).contains(name))
    let known = try #require(module.stateDict().recognized() ?? module.stateDict().recognizedFused())
    #expect(entries(known.module) == entries(module))
    #expect(known.module.parameterCount == module.parameterCount)
  }

  @Test(arguments: ["yolov6n", "yolov6s", "yolov6n6", "yolov6m"]) func deployed(name: String) throws {
    let module = try fused(name, merging: true)
    #expect(Architecture.names(ofMergedEntries: entries(module)).contains(name))
    #expect(module.stateDict().recognizedFused()?.architecture.name == name)
  }

  @Test func otherClasses() throws {
    let known = try #require(try fused("yolov5n", classes: 3).stateDict().recognizedFused())
    #expect(known.architecture.name == "yolov5n" && known.classes == 3)
  }

  @Test func whatIsNoneOfThem() throws {
    var state = try fused("resnet18").stateDict()
    state["fc.more"] = state["fc.bias"]
    #expect(state.recognizedFused() == nil)
    #expect(StateDict().recognizedFused() == nil)
  }

  /// A file of the tensors alone becomes a module for what follows, and stays a state dict when it is written.
  @Test func files() throws {
    let folder = try TemporaryFolder()
    let module = try fused("resnet18")
    try module.stateDict().writeTorch(to: folder["plain.pt"])
    var file = try Checkpoint(contentsOf: folder["plain.pt"])
    #expect(file.preferred.module == nil)
    #expect(file.recognizeFused() == "resnet18" && file.recognizeFused() == nil)
    #expect(file.preferred.module?.parameterCount == module.parameterCount && !file.isWholeModule)
    try file.write(to: folder["again.pt"])
    let again = try Checkpoint(contentsOf: folder["again.pt"])
    #expect(again.preferred.module != nil && !again.isWholeModule)
    #expect(again.preferred.stateDict().names == module.stateDict().names)
  }
}
