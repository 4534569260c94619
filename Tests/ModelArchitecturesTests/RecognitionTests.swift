import ModelArchitectures
import ModelCore
import Testing

/// Bare state dicts whose names and shapes are those of a built-in architecture.
@Suite struct RecognitionTests {
  /// Every architecture recognises its own state dict, or one that is the same: the table of entry counts holds them
  /// all.
  @Test(arguments: Architecture.names) func itself(_ name: String) throws {
    let state = try Architecture(named: name).module().stateDict()
    let found = try #require(state.recognized())
    #expect(found.architecture.name == (name == "yolov6l_base" ? "yolov6l" : name) && found.prefix.isEmpty)
    #expect(try found.classes == Architecture(named: name).defaultClasses)
    #expect(found.stateDict(like: state).names == state.names)
  }

  @Test(arguments: [
    "resnet18", "yolov5n", "yolov5n-seg", "squeezenet1_1", "densenet121", "googlenet", "yolov5s-cls", "swin_t",
    "vit_b_32",
    "inception_v3", "maxvit_t",
  ])
  func otherNumbersOfClasses(_ name: String) throws {
    for classes in [1, 7, 2000] {
      let found = try #require(try Architecture(named: name).module(classes: classes).stateDict().recognized())
      #expect(found.architecture.name == name && found.classes == classes)
    }
  }

  @Test func wrappersAndOldFiles() throws {
    let state = try Architecture(named: "resnet18").module().stateDict()
    var old = StateDict()
    for (name, tensor) in state.tensors where !name.hasSuffix("num_batches_tracked") {
      old["module._orig_mod." + name] = tensor
    }
    let found = try #require(old.recognized())
    #expect(found.architecture.name == "resnet18" && found.prefix == "module._orig_mod.")
    #expect(found.stateDict(like: old).names == old.names)
    #expect(found.module["conv1"]?.isTraining == false)
  }

  /// Whatever a training framework calls the network in it.
  @Test(arguments: ["net.", "module.backbone.", "model.model.", "a.b.c.d.e.f.g."])
  func anyPrefix(_ prefix: String) throws {
    for name in ["squeezenet1_1", "yolov5n"] {
      let state = try Architecture(named: name).module().stateDict()
      let named = StateDict(OrderedDictionary(uniqueKeysWithValues: state.tensors.map { (prefix + $0.key, $0.value) }))
      let found = try #require(named.recognized())
      #expect(found.architecture.name == name && found.prefix == prefix)
      #expect(found.stateDict(like: named).names == named.names)
      var partly = named
      partly["loss.weight"] = try Tensor([1])
      #expect(partly.recognized() == nil)
    }
  }

  /// One name or one shape that differs is enough.
  @Test func nearMisses() throws {
    let state = try Architecture(named: "resnet18").module().stateDict()
    var renamed = state
    renamed["conv1.weights"] = renamed.tensors.removeValue(forKey: "conv1.weight")
    #expect(renamed.recognized() == nil)
    var reshaped = state
    reshaped["layer1.0.conv1.weight"] = try Tensor(.float32, [64, 64, 1, 1])
    #expect(reshaped.recognized() == nil)
    var head = state
    head["fc.bias"] = try Tensor(.float32, [999])
    #expect(head.recognized() == nil)
    var features = state
    features["fc.weight"] = try Tensor(.float32, [1000, 513])
    #expect(features.recognized() == nil)
    var wrapped = state
    wrapped["module.conv1.weight"] = wrapped.tensors.removeValue(forKey: "conv1.weight")
    #expect(wrapped.recognized() == nil)
    #expect(StateDict().recognized() == nil)
  }
}
