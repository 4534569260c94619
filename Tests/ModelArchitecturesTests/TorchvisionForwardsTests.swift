import ModelArchitectures
import ModelCore
import ModelGraph
import TestSupport
import Testing

/// What PyTorch's classifiers compute between their modules. Whole models are compared with the originals' figures
/// elsewhere.
@Suite struct TorchvisionForwardsTests {
  private func refusal(_ module: Module, _ input: [Int] = [1, 4, 5, 5]) -> String? {
    do {
      _ = try Graph(module).shapes(of: [input])
      return nil
    } catch {
      return "\(error)"
    }
  }

  // MARK: DenseNet

  private func denseLayer(_ inputs: Int, growth: Int, _ attributes: OrderedDictionary<String, Attribute>) -> Module {
    Make.module(
      "torchvision.models.densenet._DenseLayer", attributes: attributes,
      [
        "norm1": Make.norm(inputs), "relu1": Make.activation(), "conv1": Make.conv(inputs, 6),
        "norm2": Make.norm(6), "relu2": Make.activation(), "conv2": Make.conv(6, growth, 3, padding: 1),
      ])
  }

  private func denseBlock(_ attributes: OrderedDictionary<String, Attribute>) -> Module {
    Make.module(
      "torchvision.models.densenet._DenseBlock",
      [
        "denselayer1": denseLayer(5, growth: 3, attributes), "denselayer2": denseLayer(8, growth: 3, attributes),
      ])
  }

  /// Since 0.4 a layer takes all features before it and gives its own; before, its own came with what it took.
  @Test func denseBlocksOfEitherRelease() throws {
    for isEfficient in [false, true] {
      let new = try Graph(denseBlock(["drop_rate": .double(0), "memory_efficient": .bool(isEfficient)]))
      #expect(try new.outputShapes(of: [1, 5, 7, 3]) == [[1, 11, 7, 3]])
      #expect(new.functions == [.concatenate(axis: 1), .concatenate(axis: 1)])
      let shapes = try new.shapes(of: [[1, 5, 7, 3]])
      #expect(new.scopes.filter { $0.path.hasSuffix("layer2") }.map { shapes[$0.outputs[0].index] } == [[1, 3, 7, 3]])
    }
    let old = try Graph(denseBlock(["drop_rate": .double(0)]))
    #expect(try old.outputShapes(of: [1, 5, 7, 3]) == [[1, 11, 7, 3]])
    #expect(old.functions.count == 2)
    let shapes = try old.shapes(of: [[1, 5, 7, 3]])
    #expect(old.scopes.filter { $0.path.hasSuffix("layer1") }.map { shapes[$0.outputs[0].index] } == [[1, 8, 7, 3]])
    #expect(try Graph(Make.module("torchvision.models.densenet._DenseBlock")).outputShapes(of: [1, 5]) == [[1, 5]])
  }

  /// A file of a few bytes for each layer, whose layers take the features of all before them.
  @Test func connectionsAreBounded() {
    let layer = Make.module(
      "torchvision.models.densenet._DenseLayer", attributes: ["memory_efficient": .bool(false)],
      OrderedDictionary(
        uniqueKeysWithValues: ["norm1", "relu1", "conv1", "norm2", "relu2", "conv2"].map { ($0, Make.activation()) }))
    let block = Make.module(
      "torchvision.models.densenet._DenseBlock",
      OrderedDictionary(uniqueKeysWithValues: (0..<10_000).map { ("\($0)", layer) }))
    #expect(refusal(block)?.contains("inputs") ?? false)
  }

  @Test func denseNetEndsInFunctions() throws {
    let net = Make.module(
      "torchvision.models.densenet.DenseNet",
      ["features": Make.sequential(Make.conv(3, 5, 3)), "classifier": Make.linear(5, 2)])
    let graph = try Graph(net)
    #expect(try graph.outputShapes(of: [1, 3, 9, 4]) == [[1, 2]])
    #expect(
      graph.functions == [
        .unary(.relu), .adaptivePool(AdaptivePool(.average, outputSize: [1, 1])), .flatten(Flatten()),
      ])
  }

  // MARK: Residual blocks

  @Test(arguments: [
    ("mobilenet.InvertedResidual", "conv", "use_res_connect"),
    ("mobilenetv2.InvertedResidual", "conv", "use_res_connect"),
    ("mobilenetv3.InvertedResidual", "block", "use_res_connect"),
    ("mnasnet._InvertedResidual", "layers", "apply_residual"),
  ])
  func residuals(_ name: String, _ child: String, _ attribute: String) throws {
    func block(_ value: Attribute?) -> Module {
      Make.module(
        "torchvision.models.\(name)", attributes: value.map { [attribute: $0] } ?? [:], [child: Make.conv(4, 4)])
    }
    #expect(try Graph(block(.bool(true))).functions == [.binary(.add)])
    #expect(try Graph(block(.bool(false))).functions.isEmpty)
    for wrong in [nil, Attribute.string("yes"), Attribute.none] {
      #expect(refusal(block(wrong))?.contains("has no usable attribute '\(attribute)'") ?? false)
    }
  }

  @Test func efficientNetsDropTheBlockNotTheShortcut() throws {
    let depth = Make.module("torchvision.ops.stochastic_depth.StochasticDepth", attributes: ["p": .double(0.5)])
    for name in ["MBConv", "FusedMBConv"] {
      for (isResidual, count) in [(true, 2), (false, 1)] {
        let graph = try Graph(
          Make.module(
            "torchvision.models.efficientnet.\(name)", attributes: ["use_res_connect": .bool(isResidual)],
            ["block": Make.conv(4, 4), "stochastic_depth": depth]))
        #expect(graph.nodes.count == count)
      }
    }
  }

  @Test func regNetBlocksWithAndWithoutProjection() throws {
    for (stride, children) in [(2, ["proj": Make.conv(4, 6, stride: 2)]), (1, [:])] {
      let outputs = stride == 2 ? 6 : 4
      var block = Make.module(
        "torchvision.models.regnet.ResBottleneckBlock", OrderedDictionary(uniqueKeysWithValues: Array(children)))
      block.children["f"] = Make.conv(4, outputs, 3, stride: stride, padding: 1)
      block.children["activation"] = Make.activation()
      #expect(
        try Graph(block).outputShapes(of: [1, 4, 5, 7]) == [[1, outputs, stride == 2 ? 3 : 5, stride == 2 ? 4 : 7]])
    }
  }

  // MARK: Gates

  @Test func squeezeExcitations() throws {
    let convs: OrderedDictionary = ["fc1": Make.conv(4, 1), "fc2": Make.conv(1, 4)]
    var today = Make.module("torchvision.ops.misc.SqueezeExcitation", convs)
    today.children["avgpool"] = Make.averagePool()
    today.children["activation"] = Make.activation(.silu)
    today.children["scale_activation"] = Make.activation(.sigmoid)
    var earlier = Make.module("torchvision.models.mobilenetv3.SqueezeExcitation", convs)
    earlier.children["relu"] = Make.activation()
    for (gate, functions) in [(today, 1), (earlier, 3)] {
      let graph = try Graph(gate)
      #expect(try graph.outputShapes(of: [1, 4, 5, 7]) == [[1, 4, 5, 7]])
      #expect(graph.functions.count == functions && graph.functions.last == .binary(.multiply))
    }
    today.children["fc1"] = nil
    #expect(refusal(today)?.contains("has no child 'fc1'") ?? false)
  }

  // MARK: ShuffleNet

  private func shuffleBlock(stride: Attribute?, _ branches: OrderedDictionary<String, Module>) -> Module {
    Make.module(
      "torchvision.models.shufflenetv2.InvertedResidual", attributes: stride.map { ["stride": $0] } ?? [:], branches)
  }

  @Test func shuffles() throws {
    let same = try Graph(shuffleBlock(stride: .int(1), ["branch1": Make.sequential(), "branch2": Make.conv(3, 3)]))
    #expect(try same.outputShapes(of: [1, 6, 5, 7]) == [[1, 6, 5, 7]])
    #expect(same.scopes.map(\.path) == ["", "branch2"])
    let halved = try Graph(
      shuffleBlock(stride: .int(2), ["branch1": Make.conv(6, 4, stride: 2), "branch2": Make.conv(6, 4, stride: 2)]))
    #expect(try halved.outputShapes(of: [1, 6, 5, 7]) == [[1, 8, 3, 4]])
    let shapes = try halved.shapes(of: [[1, 6, 5, 7]])
    #expect(shapes.suffix(3) == [[1, 2, 4, 3, 4], [1, 4, 2, 3, 4], [1, 8, 3, 4]])
  }

  @Test func whatCannotBeShuffled() {
    let odd = Make.sequential(shuffleBlock(stride: .int(1), ["branch2": Make.conv(2, 2)]))
    #expect(refusal(odd, [1, 5, 3, 3]) == "0: cannot divide 5 by 2")
    #expect(refusal(odd, [1, 1, 3, 3]) == "0: cannot make 2 parts of 1")
    #expect(refusal(shuffleBlock(stride: nil, [:]))?.contains("'stride'") ?? false)
    #expect(refusal(shuffleBlock(stride: .tuple([.int(1), .int(1)]), [:]))?.contains("'stride'") ?? false)
    #expect(refusal(shuffleBlock(stride: .int(2), ["branch2": Make.conv(4, 4)]))?.contains("'branch1'") ?? false)
  }

  // MARK: GoogLeNet, Inception

  private func basicConv(_ file: String, _ conv: Module, _ channels: Int) -> Module {
    Make.module("torchvision.models.\(file).BasicConv2d", ["conv": conv, "bn": Make.norm(channels)])
  }

  @Test(arguments: ["googlenet", "inception"])
  func convolutionsWithAFunctionBehind(_ file: String) throws {
    let graph = try Graph(basicConv(file, Make.conv(4, 5, 3), 5))
    #expect(graph.functions == [.unary(.relu)])
    #expect(try graph.outputShapes(of: [1, 4, 5, 3]) == [[1, 5, 3, 1]])
  }

  @Test func reductionsPoolWithAFunction() throws {
    func conv(_ stride: Int, padding: Int = 0) -> Module {
      basicConv("inception", Make.conv(4, 4, 3, stride: stride, padding: padding), 4)
    }
    let block = Make.module(
      "torchvision.models.inception.InceptionB",
      [
        "branch3x3": conv(2), "branch3x3dbl_1": conv(1, padding: 1), "branch3x3dbl_2": conv(1, padding: 1),
        "branch3x3dbl_3": conv(2),
      ])
    let graph = try Graph(block)
    #expect(try graph.outputShapes(of: [1, 4, 7, 4]) == [[1, 12, 3, 1]])
    #expect(graph.functions.contains(.pool(Pool(.max, kernelSize: [3, 3], stride: [2, 2]))))
    #expect(refusal(block, [1, 4, 2, 7]) == "branch3x3.conv: its window is larger than its input of 2")
  }

  // MARK: ConvNeXt

  private func convNeXtBlock(dims: Attribute) throws -> Module {
    var block = Make.module(
      "torchvision.models.convnext.CNBlock",
      [
        "block": Make.sequential(
          Make.conv(4, 4, 7, padding: 3, groups: 4),
          Make.module("torchvision.ops.misc.Permute", attributes: ["dims": dims]), Make.linear(4, 8),
          Make.linear(8, 4),
          Make.module(
            "torchvision.models.convnext.Permute", attributes: ["dims": .tuple([0, 3, 1, 2].map { .int($0) })])),
        "stochastic_depth": Make.module("torchvision.ops.stochastic_depth.StochasticDepth"),
      ])
    block.parameters["layer_scale"] = Parameter(try Tensor(.float32, [4, 1, 1]))
    return block
  }

  @Test func convNeXtBlocks() throws {
    for dims in [[0, 2, 3, 1], [0, -2, -1, 1]] {
      let graph = try Graph(convNeXtBlock(dims: .list(dims.map { .int($0) })))
      #expect(try graph.outputShapes(of: [1, 4, 5, 7]) == [[1, 4, 5, 7]])
      #expect(graph.weights["layer_scale"]?.tensor.shape == [4, 1, 1])
      #expect(graph.functions.suffix(2) == [.binary(.multiply), .binary(.add)])
    }
    for dims in [[0, 2, 3], [0, 2, 2, 1], [0, 2, 3, 4], [0, 2, 3, Int.min]] {
      let reason = refusal(try convNeXtBlock(dims: .list(dims.map { .int($0) })), [1, 4, 5, 7])
      #expect(reason?.hasPrefix("block.1: cannot permute [1, 4, 5, 7] as") ?? false)
    }
    #expect(refusal(try convNeXtBlock(dims: .string("x")))?.contains("'dims'") ?? false)
    var bare = try convNeXtBlock(dims: .list([0, 2, 3, 1].map { .int($0) }))
    bare.parameters = [:]
    #expect(refusal(bare)?.contains("'layer_scale'") ?? false)
  }

  @Test func layerNormsOverChannels() throws {
    var norm = Make.layer(
      "torchvision.models.convnext.LayerNorm2d", .layerNorm(LayerNorm(normalizedShape: [4], isChannelsFirst: true)))
    norm.parameters["weight"] = Parameter(Make.zeros([4]))
    #expect(try Graph(norm).outputShapes(of: [1, 4, 5, 7]) == [[1, 4, 5, 7]])
    #expect(refusal(norm, [1, 5, 4, 4]) == "normalises [4], but [1, 4, 4, 5] comes to it")
  }

  // MARK: Top levels

  @Test(arguments: [false, true])
  func theFirstReleasesHadNoPool(hasPool: Bool) throws {
    for name in ["alexnet.AlexNet", "vgg.VGG"] {
      var net = Make.module(
        "torchvision.models.\(name)",
        ["features": Make.conv(3, 4, 3, stride: 2), "classifier": Make.linear(4 * 9, 5)])
      if hasPool { net.children["avgpool"] = Make.averagePool(3) }
      #expect(try Graph(net).outputShapes(of: [1, 3, 7, 7]) == [[1, 5]])
      #expect((refusal(net, [1, 3, 9, 9]) == nil) == hasPool)
    }
  }

  @Test func namesOfEarlierReleases() throws {
    for name in [
      "ops.misc.ConvNormActivation", "ops.misc.Conv2dNormActivation", "models.mobilenet.ConvBNReLU",
      "models.mobilenetv2.ConvBNReLU", "models.mobilenetv2.ConvBNActivation", "models.mobilenetv3.ConvBNActivation",
      "models.regnet.SimpleStemIN", "models.densenet._Transition",
    ] {
      let block = Make.module("torchvision.\(name)", ["0": Make.conv(4, 6, 3), "1": Make.norm(6)])
      #expect(try Graph(block).outputShapes(of: [1, 4, 5, 5]) == [[1, 6, 3, 3]])
    }
    #expect(
      refusal(Make.module("elsewhere.densenet.DenseNet")) == "the forward of elsewhere.densenet.DenseNet is not known")
  }

  @Test func wrappersHandOn() throws {
    for (path, child) in [
      ("torch.nn.parallel.data_parallel.DataParallel", "module"),
      ("torch.nn.parallel.distributed.DistributedDataParallel", "module"),
      ("torch.optim.swa_utils.AveragedModel", "module"), ("torch._dynamo.eval_frame.OptimizedModule", "_orig_mod"),
    ] {
      let graph = try Graph(Make.module(path, [child: Make.conv(4, 6, 3)]))
      #expect(try graph.outputShapes(of: [1, 4, 5, 5]) == [[1, 6, 3, 3]])
      #expect(graph.scopes.map(\.path) == ["", child])
    }
  }

  @Test func nothingComesToAnEmptyPicture() {
    let fire = Make.module(
      "torchvision.models.squeezenet.Fire",
      [
        "squeeze": Make.conv(4, 2), "squeeze_activation": Make.activation(), "expand1x1": Make.conv(2, 3),
        "expand1x1_activation": Make.activation(), "expand3x3": Make.conv(2, 3, 3),
        "expand3x3_activation": Make.activation(),
      ])
    #expect(refusal(fire, [1, 4, 5, 5]) == "cannot join shapes [1, 3, 5, 5], [1, 3, 3, 3] along axis 1")
    #expect(refusal(fire, [1, 4, 0, 5]) == "squeeze: its window is larger than its input of 0")
  }
}
