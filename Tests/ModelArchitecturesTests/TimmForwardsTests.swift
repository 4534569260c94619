import ModelArchitectures
import ModelCore
import ModelGraph
import TestSupport
import Testing

/// What timm's layers compute, and what they refuse. Whole models are compared with timm's outputs elsewhere.
@Suite struct TimmForwardsTests {
  private func output(_ module: Module, _ input: [Float], _ shape: [Int]) throws -> [Double] {
    try Graph(module).reference([Tensor(input, shape)])[0].doubles()
  }

  private func refusal(_ module: Module, mode: Graph.Mode = .inference) -> String? {
    do { _ = try Graph(module, mode: mode) } catch { return "\(error)" }
    return nil
  }

  private func conv(
    _ path: String, _ weight: [Float], _ layer: Convolution, _ attributes: OrderedDictionary<String, Attribute> = [:]
  ) throws -> Module {
    var conv = Make.layer("timm.layers.\(path)", .convolution(layer))
    conv.parameters["weight"] = Parameter(try Tensor(weight, layer.weightShape))
    conv.attributes = attributes
    return conv
  }

  private func norm(_ path: String, _ layer: Layer, weight: [Float], bias: [Float]) throws -> Module {
    var norm = Make.layer("timm.layers.\(path)", layer)
    norm.parameters["weight"] = Parameter(try Tensor(weight))
    norm.parameters["bias"] = Parameter(try Tensor(bias))
    return norm
  }

  // MARK: Convolutions

  @Test func paddingThatFollowsTheSize() throws {
    let layer = Convolution(inChannels: 1, outChannels: 1, kernelSize: [2, 2], stride: [2, 2], padding: [7, 7])
    let same = try conv("conv2d_same.Conv2dSame", [1, 1, 1, 1], layer)
    // What is odd goes to the end; the padding among the attributes counts for nothing.
    #expect(try output(same, Array(1...9).map(Float.init), [1, 1, 3, 3]) == [12, 9, 15, 9])
    #expect(try output(same, [1, 2, 3, 4], [1, 1, 2, 2]) == [10])
  }

  @Test func standardizedWeights() throws {
    let layer = Convolution(inChannels: 2, outChannels: 2, kernelSize: [1, 1])
    let std = try conv("std_conv.StdConv2d", [1, 3, 5, 1], layer, ["eps": .double(0)])
    // Each kernel becomes ±1, whatever its size.
    #expect(try output(std, [10, 4], [1, 2, 1, 1]) == [-6, 6])
    var scaled = try conv("std_conv.ScaledStdConv2d", [1, 3, 5, 1], layer, ["eps": .double(0), "scale": .double(0.5)])
    scaled.parameters["gain"] = Parameter(try Tensor([2, 4], [2, 1, 1, 1]))
    scaled.parameters["bias"] = Parameter(try Tensor([0.5, 0.25]))
    #expect(try output(scaled, [10, 4], [1, 2, 1, 1]) == [-5.5, 12.25])
    #expect(refusal(try conv("std_conv.StdConv2d", [1, 3, 5, 1], layer)) != nil)
  }

  @Test func maximaOfPaddedWindowsAreElements() throws {
    let pool = Make.module(
      "timm.layers.pool2d_same.MaxPool2dSame",
      attributes: [
        "kernel_size": .tuple([.int(2), .int(2)]), "stride": .tuple([.int(2), .int(2)]),
        "padding": .tuple([.int(0), .int(0)]), "dilation": .tuple([.int(1), .int(1)]), "ceil_mode": .bool(false),
      ])
    #expect(try output(pool, [-5, -6, -7], [1, 1, 1, 3]) == [-5, -7])
  }

  @Test func oneFilterForAllChannels() throws {
    var blur = Make.module(
      "timm.layers.blur_pool.BlurPool2d",
      attributes: [
        "channels": .none, "stride": .int(2), "padding": .list([.int(1), .int(0), .int(0), .int(0)]),
        "pad_mode": .string("reflect"),
      ])
    blur.buffers["filt"] = try Tensor([0.25, 0.75], [1, 1, 1, 2])
    // 8 4 8 4 and 20 16 20 16: by twos.
    #expect(try output(blur, [4, 8, 4, 16, 20, 16], [1, 2, 1, 3]) == [5, 5, 17, 17])
  }

  // MARK: Norms

  @Test func aNormWithItsActivation() throws {
    var bn = try norm(
      "norm_act.BatchNormAct2d", .batchNorm(BatchNorm(rank: 2, features: 2, eps: 0)), weight: [2, 1], bias: [0, -1])
    bn.buffers["running_mean"] = try Tensor([1, 0])
    bn.buffers["running_var"] = try Tensor([4, 1])
    bn.children["drop"] = Make.layer("torch.nn.modules.linear.Identity", .identity)
    bn.children["act"] = Make.activation(.relu)
    #expect(try output(bn, [3, -3, 3, 0.5], [1, 2, 1, 2]) == [2, 0, 2, 0])
    // A fork's child that takes no part here.
    bn.children["extra"] = Make.linear(2, 2)
    #expect(refusal(bn)?.contains("never calls 'extra'") == true)
  }

  @Test func normsOverChannels() throws {
    let layer = LayerNorm(normalizedShape: [2], eps: 0, isChannelsFirst: true)
    let norm = try norm("norm.LayerNorm2d", .layerNorm(layer), weight: [1, 2], bias: [0, 1])
    #expect(try output(norm, [1, 5, 3, 1], [1, 2, 1, 2]) == [-1, 1, 3, -1])
    var rms = Make.module(
      "timm.layers.norm.RmsNorm2d", attributes: ["normalized_shape": .tuple([.int(2)]), "eps": .double(0)])
    rms.parameters["weight"] = Parameter(try Tensor([5, 10]))
    #expect(try output(rms, [1, 7], [1, 2, 1, 1]) == [1, 14])
  }

  // MARK: Between modules

  @Test func aFunctionAmongTheAttributes() throws {
    func gamma(_ function: String) -> Module {
      Make.module("timm.models.nfnet.GammaAct", attributes: ["act_fn": .opaque(function), "gamma": .double(2)])
    }
    #expect(try output(gamma("torch.nn.functional.relu"), [-1, 3], [2]) == [0, 6])
    #expect(refusal(gamma("my.nets.relu"))?.contains("my.nets.relu") == true)
    #expect(refusal(gamma("torch.nn.functional.strange"))?.contains("strange") == true)
  }

  @Test func earlierReleases() throws {
    let drop = Make.module("timm.models.layers.drop.DropPath", attributes: ["drop_prob": .double(0.5)])
    #expect(try Graph(drop).nodes.isEmpty)
    // Its dropout is no module, and its rate an attribute.
    var head = Make.module(
      "timm.models.layers.classifier.ClassifierHead", attributes: ["drop_rate": .double(0.25)],
      [
        "global_pool": Make.averagePool(), "fc": Make.conv(2, 3),
        "flatten": Make.layer("torch.nn.modules.flatten.Flatten", .flatten(Flatten())),
      ])
    #expect(try Graph(head).outputShapes(of: [1, 2, 4, 4]) == [[1, 3]])
    #expect(try Graph(head, mode: .training).nodes.map(\.operation).contains(.dropout(Dropout(probability: 0.25))))
    head.attributes = [:]
    #expect(refusal(head)?.contains("drop_rate") == true)
  }

  @Test func stochasticDepth() throws {
    func drop(_ probability: Double, scales: Bool = true) -> Module {
      Make.module(
        "timm.layers.drop.DropPath", attributes: ["drop_prob": .double(probability), "scale_by_keep": .bool(scales)])
    }
    #expect(try Graph(drop(0.5)).nodes.isEmpty)
    #expect(
      try Graph(drop(0.5), mode: .training).nodes.map(\.operation) == [
        .dropout(Dropout(probability: 0.5, unit: .row))
      ])
    #expect(refusal(drop(0.5, scales: false), mode: .training)?.contains("does not scale") == true)
  }

  @Test func hostileNumbersAreRefused() {
    func module(_ path: String, _ attributes: OrderedDictionary<String, Attribute>) -> Module {
      Make.module("timm.layers.\(path)", attributes: attributes)
    }
    for attributes: OrderedDictionary<String, Attribute> in [
      [:], ["radix": .int(-1), "cardinality": .int(2)], ["radix": .int(2), "cardinality": .int(0)],
      ["radix": .int(.max), "cardinality": .int(2)],
    ] {
      let softmax = module("split_attn.RadixSoftmax", attributes)
      #expect(refusal(softmax) != nil || attributes["radix"] == .int(-1))
    }
    #expect(refusal(module("evo_norm.EvoNorm2dS0", ["groups": .int(0)])) != nil)
    #expect(refusal(module("space_to_depth.SpaceToDepth", ["bs": .int(1 << 40)])) != nil)
    #expect(refusal(module("mixed_conv2d.MixedConv2d", ["splits": .list([.int(1)])])) != nil)
  }

  @Test func shapesBeyondReasonAreRefused() throws {
    for layer in [
      Convolution(inChannels: 1, outChannels: 1, kernelSize: [1 << 40, 1]),
      Convolution(inChannels: 1, outChannels: 1, kernelSize: [1, 1], stride: [0, 1]),
      Convolution(inChannels: 1, outChannels: 1, kernelSize: [1, 1], stride: [.max, 1]),
    ] {
      var conv = Make.layer("timm.layers.conv2d_same.Conv2dSame", .convolution(layer))
      conv.parameters["weight"] = Parameter(Make.zeros([1, 1, 1, 1]))
      #expect(throws: ModelError.self) { try Graph(conv).shapes(of: [[1, 1, 4, 4]]) }
    }
  }
}
