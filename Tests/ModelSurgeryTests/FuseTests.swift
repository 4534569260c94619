import FoundationEssentials
import ModelArchitectures
import ModelCheckpoints
import ModelCore
import ModelGraph
import ModelSurgery
import SystemPackage
import Testing

/// Module.fuse on whole modules that PyTorch and YOLOv5 wrote, against what folding in double gives.
@Suite struct FuseTests {
  struct Golden: Decodable {
    struct Fuse: Decodable {
      let fused: [FusionReport.Pair]
      let tensors: [Record]?
    }
    struct Record: Decodable {
      let name: String
      let dtype: String
      let shape: [Int]
      let hex: String?
    }
    let fuse: Fuse
  }

  static let folder = FilePath(#filePath).removingLastComponent().removingLastComponent().appending("Fixtures")

  func model(_ file: String) throws -> Module {
    try #require(try Checkpoint(contentsOf: Self.folder.appending(file)).preferred.module)
  }

  @Test(
    arguments: [
      "conv_bn_small.pt", "yolov5_blocks.pt", "yolov5_tiny.pt", "training_checkpoint.pt", "trap_activation_between.pt",
      "trap_bn_first.pt", "trap_bn_twice_after_relu.pt", "trap_channels_differ.pt", "trap_conv_twice.pt",
      "trap_no_statistics.pt", "trap_pad_between.pt", "trap_pool_between.pt", "trap_weight_twice.pt",
    ])
  func againstTheOriginals(file: String) throws {
    let json = try FileBytes(mapping: Self.folder.appending(file + ".json"))
    let golden = try JSONDecoder().decode(Golden.self, from: Data(json.bytes)).fuse
    var module = try model(file)
    let before = module.stateDict()
    let report = try module.fuse()
    let after = module.stateDict()
    #expect(Set(report.fused) == Set(golden.fused))
    // The same, of memory of our own.
    let copy = try model(file).fused().stateDict()
    #expect(copy.names.elementsEqual(after.names))
    var changed: Set<String> = []
    for record in golden.tensors ?? [] {
      let tensor = try #require(after[record.name], "\(record.name)")
      #expect(tensor.shape == record.shape && tensor.dtype.rawValue == before[tensorLike: record.name]?.dtype.rawValue)
      changed.insert(record.name)
      #expect(try copy[record.name]?.doubles() == tensor.doubles())
      guard record.dtype == "float32", tensor.dtype == .float32, let hex = record.hex else { continue }
      let values = try tensor.floats()
      let wanted = floats(hex)
      let scale = wanted.map { abs($0) }.max() ?? 0
      // Folded in float32: a few roundings of the product and the sum.
      let error = zip(values, wanted).map { abs($0 - $1) }.max() ?? 0
      #expect(values.count == wanted.count && error <= 1e-6 * scale, "\(record.name)")
    }
    // Everything else is as it was; the batch norms' entries are gone.
    let gone = golden.fused.map { $0.bn + "." }
    for (name, tensor) in before.tensors where !changed.contains(name) {
      if gone.contains(where: { name.hasPrefix($0) }) {
        #expect(after[name] == nil, "\(name)")
      } else {
        #expect(after[name]?.identity == tensor.identity, "\(name)")
      }
    }
  }

  @Test func fusedParametersNeedNoGradients() throws {
    var module = try model("conv_bn_small.pt")
    let report = try module.fuse()
    for pair in report.fused {
      let convolution = try #require(module[pair.conv])
      #expect(Array(convolution.parameters.keys) == ["weight", "bias"])
      #expect(convolution.parameters.values.allSatisfy { !$0.requiresGrad })
      #expect(module[pair.bn]?.layer == .identity)
    }
    #expect(report.parametersAfter < report.parametersBefore)
    // Nothing is left to do.
    let again = try module.fuse()
    #expect(again.fused.isEmpty && again.parametersBefore == report.parametersAfter)
  }

  @Test func yoloBlocksBecomeTheirFusedMethod() throws {
    var module = try model("yolov5_blocks.pt")
    for pair in try module.fuse().fused {
      let block = try #require(module[String(pair.bn.dropLast(".bn".count))])
      #expect(block.children["bn"] == nil && block.attributes["forward"] == .boundMethod("forward_fuse"))
    }
  }

  // MARK: Modules of several parents

  private func sequential(_ children: Module...) -> Module {
    Module(
      ClassName("torch.nn.modules.container", "Sequential"), layer: .sequential,
      children: OrderedDictionary(uniqueKeysWithValues: children.enumerated().map { ("\($0)", $1) }))
  }

  private func norm() throws -> Module {
    var norm = Module(
      ClassName("torch.nn.modules.batchnorm", "BatchNorm2d"), layer: .batchNorm(BatchNorm(rank: 2, features: 1)))
    for name in ["weight", "bias"] { norm.parameters[name] = Parameter(try Tensor([1])) }
    for name in ["running_mean", "running_var"] { norm.buffers[name] = try Tensor([1]) }
    return norm
  }

  private func convolution() throws -> Module {
    var conv = Module(
      ClassName("torch.nn.modules.conv", "Conv2d"),
      layer: .convolution(Convolution(inChannels: 1, outChannels: 1, kernelSize: [1, 1])))
    conv.parameters["weight"] = Parameter(try Tensor([3], [1, 1, 1, 1]))
    return conv
  }

  @Test func aNormInAnotherModule() throws {
    var module = sequential(sequential(try convolution()), try norm())
    #expect(try module.fuse().fused.map(\.conv) == ["0.0"])
    #expect(module["1"]?.layer == .identity)
    // In one graph the same convolution comes before two norms, in two graphs before one each.
    let shared = sequential(try convolution())
    let (a, b) = (sequential(shared, try norm()), sequential(shared, try norm()))
    for className in [ClassName("torch.nn.modules.container", "Sequential"), ClassName("my.nets", "Net")] {
      var module = Module(
        className, layer: className.isTorchModule ? .sequential : .opaque, children: ["a": a, "b": b])
      let report = try module.fuse()
      #expect(report.fused.isEmpty && report.refused.count == 2)
    }
  }

  /// YOLOv6-lite's block has a method without both of its norms: it takes over where both are fused.
  @Test func aMethodThatLeavesTwoNormsOut() throws {
    func block() throws -> Module {
      func act() -> Module {
        Module(ClassName("torch.nn.modules.activation", "Hardswish"), layer: .activation(Activation(.hardswish)))
      }
      return Module(
        ClassName("yolov6.layers.common", "DPBlock"),
        children: [
          "conv_dw_1": try convolution(), "bn_1": try norm(), "act_1": act(), "conv_pw_1": try convolution(),
          "bn_2": try norm(), "act_2": act(),
        ])
    }
    let x = try Tensor([1, 0.5], [1, 1, 1, 2])
    var whole = try block()
    let expected = try Graph(whole).reference([x])[0].floats()
    #expect(try whole.fuse().fused.map(\.bn) == ["bn_1", "bn_2"])
    #expect(whole.children.keys == ["conv_dw_1", "act_1", "conv_pw_1", "act_2"])
    #expect(whole.attributes["forward"] == .boundMethod("forward_fuse"))
    func isClose(_ module: Module) throws -> Bool {
      // Folded in float32.
      try zip(Graph(module).reference([x])[0].floats(), expected).allSatisfy { abs($0 - $1) <= 1e-6 * abs($1) }
    }
    #expect(try isClose(whole) && whole.fuse().fused.isEmpty)
    var half = try block()
    half.children["bn_2"]?.layer = .batchNorm(BatchNorm(rank: 2, features: 1, tracksRunningStatistics: false))
    half.children["bn_2"]?.buffers = [:]
    #expect(try half.fuse().fused.map(\.bn) == ["bn_1"])
    #expect(half["bn_1"]?.layer == .identity && half.attributes["forward"] == nil && half.children.count == 6)
  }

  // MARK: timm

  private func block(_ convolution: String, drop: Module? = nil, act: Module?) throws -> Module {
    var conv = Module(
      ClassName("timm.layers.\(convolution)", convolution == "std_conv" ? "StdConv2d" : "Conv2dSame"),
      layer: .convolution(Convolution(inChannels: 1, outChannels: 1, kernelSize: [1, 1])))
    conv.attributes["eps"] = .double(1e-6)
    conv.parameters["weight"] = Parameter(try Tensor([3], [1, 1, 1, 1]))
    var bn = Module(
      ClassName("timm.layers.norm_act", "BatchNormAct2d"), layer: .batchNorm(BatchNorm(rank: 2, features: 1, eps: 0)))
    for (name, value) in ["weight": 4, "bias": 1] as [String: Float] {
      bn.parameters[name] = Parameter(try Tensor([value]))
    }
    for (name, value) in ["running_mean": 6, "running_var": 4] as [String: Float] {
      bn.buffers[name] = try Tensor([value])
    }
    bn.children["drop"] = drop ?? Module(ClassName("torch.nn.modules.linear", "Identity"), layer: .identity)
    bn.children["act"] = act ?? Module(ClassName("torch.nn.modules.linear", "Identity"), layer: .identity)
    return Module(ClassName("timm.layers.conv_bn_act", "ConvNormAct"), children: ["conv": conv, "bn": bn])
  }

  @Test func whatANormRunsBehindItselfStays() throws {
    let relu = Module(ClassName("torch.nn.modules.activation", "ReLU"), layer: .activation(Activation(.relu)))
    let dropout = Module(ClassName("torch.nn.modules.dropout", "Dropout"), layer: .dropout)
    for (drop, act, name) in [
      (nil, nil, "Identity"), (nil, relu, "ReLU"), (dropout, nil, "Dropout"), (dropout, relu, "Sequential"),
    ] {
      var module = try block("conv2d_same", drop: drop, act: act)
      let expected = try Graph(module).reference([Tensor([-1, 5], [1, 1, 1, 2])])[0].doubles()
      #expect(try module.fuse().fused.map(\.bn) == ["bn"])
      #expect(module["bn"]?.className.name == name)
      #expect(try module["conv"]?.parameters["weight"]?.tensor.doubles() == [6])
      #expect(try module["conv"]?.parameters["bias"]?.tensor.doubles() == [-11])
      #expect(try Graph(module).reference([Tensor([-1, 5], [1, 1, 1, 2])])[0].doubles() == expected)
      #expect(try module.fuse().fused.isEmpty)
    }
  }

  @Test func normalisedWeightsAreLeft() throws {
    var module = try block("std_conv", act: nil)
    let report = try module.fuse()
    #expect(report.fused.isEmpty)
    #expect(
      report.refused.map(\.reason) == [
        "the weights of a StdConv2d are normalised when it runs, so a factor would be lost"
      ])
    let (conv, bn) = try (#require(module["conv"]), #require(module["bn"]))
    #expect(throws: ModelError.self) { try fuseConvAndBN(conv, bn) }
  }

  /// float32, little-endian.
  func floats(_ hex: String) -> [Float] {
    let digits = Array(hex.utf8).map { UInt32($0 < 58 ? $0 - 48 : $0 - 87) }
    return stride(from: 0, to: digits.count - 7, by: 8).map { start in
      var bits: UInt32 = 0
      for byte in (0..<4).reversed() { bits = bits << 8 | digits[start + 2 * byte] << 4 | digits[start + 2 * byte + 1] }
      return Float(bitPattern: bits)
    }
  }
}

extension StateDict {
  /// The weight beside which a fused weight or bias stands.
  fileprivate subscript(tensorLike name: String) -> Tensor? {
    self[name.split(separator: ".").dropLast().joined(separator: ".") + ".weight"]
  }
}
