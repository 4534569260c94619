import ModelCheckpoints
import ModelCore
import Testing

/// Which layer a pickled module is.
@Suite struct LayerRecognitionTests {
  private func module(_ file: String) throws -> Module {
    try #require(try Checkpoint(contentsOf: TorchFixtures.path(file)).preferred.module)
  }

  @Test func aSequentialOfEveryKind() throws {
    let net = try module("conv_bn_small.pt")
    #expect(net.layer == .sequential)
    let expected: [String: Layer] = [
      "0": .convolution(Convolution(inChannels: 3, outChannels: 8, kernelSize: [3, 3], padding: [1, 1])),
      "1": .batchNorm(BatchNorm(rank: 2, features: 8, eps: 1e-3)), "2": .activation(Activation(.relu)),
      "3": .convolution(
        Convolution(
          inChannels: 8, outChannels: 8, kernelSize: [3, 3], padding: [2, 2], dilation: [2, 2], groups: 4)),
      "4": .batchNorm(BatchNorm(rank: 2, features: 8)), "5": .activation(Activation(.silu)),
      "6": .convolution(
        Convolution(inChannels: 8, outChannels: 4, kernelSize: [1, 1], paddingMode: "reflect")),
      "7": .batchNorm(BatchNorm(rank: 2, features: 4, isAffine: false)),
      "8": .convolution(
        Convolution(
          isTransposed: true, inChannels: 4, outChannels: 6, kernelSize: [2, 2], stride: [2, 2], groups: 2)),
      "9": .batchNorm(BatchNorm(rank: 2, features: 6)), "10": .activation(Activation(.relu6, isInPlace: true)),
      "11": .adaptivePool(AdaptivePool(.average, outputSize: [1, 1])), "12": .flatten(Flatten()),
      "13": .linear(Linear(inFeatures: 6, outFeatures: 5)), "14": .batchNorm(BatchNorm(rank: 1, features: 5)),
    ]
    #expect(Set(net.children.keys) == Set(expected.keys))
    for (name, child) in net.children { #expect(child.layer == expected[name], "\(name)") }
    #expect(net["3"]?.parameters.keys == ["weight"])
    #expect(net["7"]?.parameters.isEmpty == true)
  }

  @Test func aBatchNormWithoutStatistics() throws {
    let net = try module("trap_no_statistics.pt")
    #expect(net["1"]?.layer == .batchNorm(BatchNorm(rank: 2, features: 4, tracksRunningStatistics: false)))
    #expect(net["1"]?.buffers.isEmpty == true)
  }

  @Test func yolosOwnClassesAreOpaqueWithKnownParts() throws {
    let net = try module("yolov5_tiny.pt")
    #expect(net.className == ClassName("models.yolo", "DetectionModel"))
    #expect(net.layer == .opaque)
    #expect(net["model"]?.layer == .sequential)
    #expect(net["model.0"]?.className == ClassName("models.common", "Conv"))
    #expect(net["model.0.bn"]?.layer == .batchNorm(BatchNorm(rank: 2, features: 8, eps: 1e-3, momentum: 0.03)))
    #expect(net["model.2"]?.layer == .upsample(Upsample(.scale([2]))))
    #expect(net["model.3.m"]?.layer == .container)
    #expect(
      net.attributes["names"]
        == .dict([.init(key: .int(0), value: .string("cat")), .init(key: .int(1), value: .string("dog"))]))
  }

  private func layer(_ path: String, _ attributes: [(String, [UInt8])], children: [(String, [UInt8])] = []) throws
    -> Layer?
  {
    let root = Pickled.module(path, children: children, attributes: attributes)
    return try Checkpoint(Pickled.file(root, storage: 16)).preferred.module?.layer
  }

  private static func pair(_ value: Int) -> [UInt8] { Pickled.tuple([Pickled.int(value), Pickled.int(value)]) }

  private static let conv: [(String, [UInt8])] = [
    ("in_channels", Pickled.int(2)), ("out_channels", Pickled.int(4)), ("kernel_size", pair(3)), ("stride", pair(1)),
    ("padding", pair(0)), ("dilation", pair(1)), ("transposed", Pickled.bool(false)), ("output_padding", pair(0)),
    ("groups", Pickled.int(1)), ("padding_mode", Pickled.text("zeros")),
  ]

  /// A subclass of a convolution has its attributes; what else it computes is for fusing to doubt.
  @Test func subclassesOfConvolutions() throws {
    let expected = Layer.convolution(Convolution(inChannels: 2, outChannels: 4, kernelSize: [3, 3]))
    #expect(try layer("timm.layers.StdConv2d", Self.conv) == expected)
    #expect(try layer("torch.nn.modules.conv.Conv2d", Self.conv) == expected)
    // Before PyTorch 1.1 there was no padding mode.
    #expect(try layer("torch.nn.modules.conv.Conv2d", Self.conv.dropLast()) == expected)
  }

  @Test func textualPaddings() throws {
    var attributes = Self.conv
    attributes[4] = ("padding", Pickled.text("same"))
    guard case .convolution(let convolution)? = try layer("torch.nn.modules.conv.Conv2d", attributes) else {
      Issue.record("is no convolution")
      return
    }
    #expect(convolution.padding == nil)
  }

  @Test func incompleteAttributesMakeNoLayer() throws {
    for name in ["in_channels", "kernel_size", "transposed", "groups", "output_padding"] {
      #expect(try layer("torch.nn.modules.conv.Conv2d", Self.conv.filter { $0.0 != name }) == .opaque, "\(name)")
    }
    #expect(try layer("torch.nn.modules.linear.Linear", []) == .opaque)
    #expect(try layer("torch.nn.modules.batchnorm.BatchNorm2d", []) == .opaque)
  }

  @Test func otherClasses() throws {
    #expect(try layer("torch.nn.modules.linear.Identity", []) == .identity)
    #expect(try layer("torch.nn.modules.activation.SiLU", []) == .activation(Activation(.silu)))
    #expect(try layer("torch.nn.modules.dropout.Dropout", []) == .dropout)
    #expect(try layer("torch.nn.modules.pooling.MaxPool2d", []) == .opaque)
    #expect(try layer("torch.nn.modules.container.ModuleDict", []) == .container)
    #expect(try layer("my.nn.Identity", []) == .opaque)
    #expect(try layer("my.Sequential", []) == .opaque)
    // Multi-head attention lives among the activations, but it is none.
    let inner = Pickled.module("torch.nn.modules.linear.Identity")
    #expect(try layer("torch.nn.modules.activation.MultiheadAttention", [], children: [("out_proj", inner)]) == .opaque)
    let features = [("num_features", Pickled.int(3)), ("eps", Pickled.double(1e-5)), ("momentum", Pickled.none)]
    #expect(
      try layer("torch.nn.modules.batchnorm.SyncBatchNorm", features)
        == .batchNorm(BatchNorm(rank: nil, features: 3, momentum: nil)))
  }
}
