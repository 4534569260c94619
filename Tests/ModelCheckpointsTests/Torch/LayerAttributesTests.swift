import ModelCheckpoints
import ModelCore
import TestSupport
import Testing

/// A layer that is changed, or that no file held, is written as the attributes of PyTorch's class.
@Suite struct LayerAttributesTests {
  private static func modules() -> [(String, String, Layer)] {
    [
      (
        "conv", "Conv1d",
        .convolution(Convolution(inChannels: 2, outChannels: 4, kernelSize: [3], padding: [1], paddingMode: "circular"))
      ),
      (
        "conv", "Conv2d",
        .convolution(
          Convolution(
            inChannels: 2, outChannels: 4, kernelSize: [3, 5], stride: [2, 1], padding: [1, 2], dilation: [1, 2],
            groups: 2))
      ),
      (
        "conv", "ConvTranspose3d",
        .convolution(
          Convolution(
            isTransposed: true, inChannels: 2, outChannels: 4, kernelSize: [2, 2, 2], stride: [2, 2, 2],
            outputPadding: [1, 0, 1]))
      ), ("batchnorm", "BatchNorm2d", .batchNorm(BatchNorm(rank: 2, features: 3, eps: 1e-3, momentum: nil))),
      ("batchnorm", "SyncBatchNorm", .batchNorm(BatchNorm(rank: nil, features: 3, isAffine: false))),
      ("linear", "Linear", .linear(Linear(inFeatures: 3, outFeatures: 2))), ("linear", "Identity", .identity),
      ("normalization", "LayerNorm", .layerNorm(LayerNorm(normalizedShape: [4, 5], eps: 1e-6, isAffine: false))),
      ("normalization", "GroupNorm", .groupNorm(GroupNorm(groups: 2, channels: 4))),
      ("activation", "SiLU", .activation(Activation(.silu, isInPlace: true))),
      ("activation", "LeakyReLU", .activation(Activation(.leakyReLU))),
      ("activation", "GELU", .activation(Activation(.gelu))),
      ("activation", "Softmax", .softmax(Softmax(axis: -1))),
      ("activation", "LogSoftmax", .softmax(Softmax(.logSoftmax, axis: nil))),
      ("activation", "Softmax2d", .softmax(Softmax(.softmax2d, axis: -3))),
      (
        "activation", "MultiheadAttention",
        .multiheadAttention(MultiheadAttention(embeddingSize: 8, heads: 2, keySize: 4, isBatchFirst: true))
      ), ("dropout", "Dropout", .dropout),
      (
        "pooling", "MaxPool2d",
        .pool(Pool(.max, kernelSize: [3, 2], stride: [2, 2], padding: [1, 1], dilation: [1, 2]))
      ),
      ("pooling", "AvgPool1d", .pool(Pool(.average, kernelSize: [3], ceilMode: true, countsPadding: false))),
      ("pooling", "AdaptiveMaxPool2d", .adaptivePool(AdaptivePool(.max, outputSize: [nil, 7]))),
      ("upsampling", "Upsample", .upsample(Upsample(.scale([2]), mode: "bilinear"))),
      ("upsampling", "Upsample", .upsample(Upsample(.scale([2, 1.5]), mode: "nearest-exact"))),
      ("upsampling", "UpsamplingNearest2d", .upsample(Upsample(.size([7, 9])))),
      ("upsampling", "Upsample", .upsample(Upsample(.size([7])))),
      ("padding", "ZeroPad2d", .pad(Padding([1, 2, 3, 4]))),
      ("padding", "ReflectionPad1d", .pad(Padding([1, 2], mode: "reflect"))),
      ("flatten", "Flatten", .flatten(Flatten(start: 0, end: 2))),
      ("pixelshuffle", "PixelUnshuffle", .pixelShuffle(PixelShuffle(factor: 3, isInverse: true))),
      ("container", "Sequential", .sequential), ("container", "ModuleList", .container),
      (
        "instancenorm", "InstanceNorm3d",
        .instanceNorm(InstanceNorm(rank: 3, features: 4, momentum: nil, isAffine: true))
      ),
      ("normalization", "RMSNorm", .rmsNorm(RMSNorm(normalizedShape: [4, 5]))),
      ("normalization", "RMSNorm", .rmsNorm(RMSNorm(normalizedShape: [4], eps: 1e-6, isAffine: false))),
      ("normalization", "LocalResponseNorm", .localResponseNorm(LocalResponseNorm(size: 5, alpha: 0.5, k: 2))),
      ("activation", "GLU", .glu(axis: -1)),
      (
        "rnn", "LSTM",
        .recurrent(
          Recurrent(
            .lstm, inputSize: 3, hiddenSize: 4, layers: 2, isBatchFirst: true, dropout: 0.25, isBidirectional: true,
            projectionSize: 2))
      ), ("rnn", "GRU", .recurrent(Recurrent(.gru, inputSize: 3, hiddenSize: 4, hasBias: false))),
      ("rnn", "RNN", .recurrent(Recurrent(.rnnReLU, inputSize: 3, hiddenSize: 4))),
      ("rnn", "RNNCell", .recurrentCell(RecurrentCell(.rnnTanh, inputSize: 3, hiddenSize: 4))),
      ("rnn", "RNNCell", .recurrentCell(RecurrentCell(.rnnReLU, inputSize: 3, hiddenSize: 4, hasBias: false))),
      ("rnn", "LSTMCell", .recurrentCell(RecurrentCell(.lstm, inputSize: 3, hiddenSize: 4, hasBias: false))),
      ("rnn", "GRUCell", .recurrentCell(RecurrentCell(.gru, inputSize: 3, hiddenSize: 4))),
      ("pooling", "LPPool2d", .powerPool(PowerPool(norm: 2, kernelSize: [2, 3], ceilMode: true))),
      ("flatten", "Unflatten", .unflatten(Unflatten(axis: -1, sizes: [2, -1]))),
      ("channelshuffle", "ChannelShuffle", .channelShuffle(groups: 2)),
      ("fold", "Unfold", .unfold(Unfold(kernelSize: [2, 3], padding: [1, 0]))),
      ("fold", "Fold", .unfold(Unfold(kernelSize: [2, 3], stride: [2, 1], outputSize: [8, 9]))),
      ("sparse", "Embedding", .embedding(Embedding(count: 5, features: 3))),
      ("sparse", "EmbeddingBag", .embedding(Embedding(count: 5, features: 3, mode: .max))),
      ("linear", "Bilinear", .bilinear(Bilinear(firstFeatures: 2, secondFeatures: 3, outFeatures: 4))),
    ]
  }

  /// timm's layers that keep what PyTorch's keep.
  private static let timm: [(String, String, Layer)] = [
    ("norm_act", "BatchNormAct2d", .batchNorm(BatchNorm(rank: 2, features: 3, eps: 1e-3, momentum: nil))),
    ("norm_act", "SyncBatchNormAct", .batchNorm(BatchNorm(rank: nil, features: 3, isAffine: false))),
    ("norm_act", "GroupNormAct", .groupNorm(GroupNorm(groups: 2, channels: 4))),
    ("norm_act", "LayerNormActFp32", .layerNorm(LayerNorm(normalizedShape: [4], isAffine: false))),
    ("norm_act", "LayerNormAct2d", .layerNorm(LayerNorm(normalizedShape: [4], eps: 1e-6, isChannelsFirst: true))),
    ("norm", "GroupNorm1", .groupNorm(GroupNorm(groups: 1, channels: 4, isAffine: false))),
    ("norm", "LayerNorm", .layerNorm(LayerNorm(normalizedShape: [4]))),
    ("norm", "LayerNorm2d", .layerNorm(LayerNorm(normalizedShape: [4], isChannelsFirst: true))),
    ("linear", "Linear", .linear(Linear(inFeatures: 3, outFeatures: 2))),
    ("activations", "PReLU", .activation(Activation(.prelu))),
    ("conv2d_same", "Conv2dSame", .convolution(Convolution(inChannels: 2, outChannels: 4, kernelSize: [3, 3]))),
    (
      "std_conv", "StdConv2d",
      .convolution(Convolution(inChannels: 2, outChannels: 4, kernelSize: [3, 3], padding: [1, 1], groups: 2))
    ),
  ]

  private func module(_ file: String, _ name: String, _ layer: Layer) -> Module {
    Module(ClassName("torch.nn.modules.\(file)", name), layer: layer)
  }

  private func rewritten(_ checkpoint: Checkpoint) throws -> Module {
    let folder = try TemporaryFolder()
    try checkpoint.write(to: folder["again.pt"])
    let bytes = FileBytes(name: "again.pt", copying: try FileBytes(mapping: folder["again.pt"]).array)
    return try #require(try Checkpoint(bytes).preferred.module)
  }

  private func checkpoint(_ name: String = "conv_bn_small.pt") throws -> Checkpoint {
    try Checkpoint(contentsOf: TorchFixtures.path(name))
  }

  @Test func everyLayerComesBack() throws {
    var file = try checkpoint()
    let children = Self.modules().enumerated().map { ("m\($0)", module($1.0, $1.1, $1.2)) }
    try file.updateModels { try $1.change { $0.children = OrderedDictionary(uniqueKeysWithValues: children) } }
    let again = try rewritten(file)
    #expect(again.children.keys.elementsEqual(children.map(\.0)))
    for (name, child) in children {
      #expect(again[name]?.layer == child.layer, "\(child.className)")
      #expect(again[name]?.className == child.className)
    }
    #expect(again["m9"]?.attributes == ["inplace": .bool(true)])
    #expect(again["m10"]?.attributes == ["negative_slope": .double(0.01), "inplace": .bool(false)])
    #expect(
      again["m0"]?.attributes == [
        "in_channels": .int(2), "out_channels": .int(4), "kernel_size": .tuple([.int(3)]), "stride": .tuple([.int(1)]),
        "padding": .tuple([.int(1)]), "dilation": .tuple([.int(1)]), "transposed": .bool(false),
        "output_padding": .tuple([.int(0)]), "groups": .int(1), "padding_mode": .string("circular"),
        "_reversed_padding_repeated_twice": .tuple([.int(1), .int(1)]),
      ])
  }

  /// It keeps its eps alone; how many channels there are its buffers say.
  @Test func frozenBatchNorms() throws {
    var file = try checkpoint()
    var norm = Module(
      ClassName("torchvision.ops.misc", "FrozenBatchNorm2d"),
      layer: .batchNorm(BatchNorm(rank: 2, features: 2, eps: 0.25, momentum: nil, isFrozen: true)))
    for name in ["weight", "bias", "running_mean", "running_var"] { norm.buffers[name] = try Tensor([1, 2]) }
    try file.updateModels { try $1.change { [norm] in $0.children = ["norm": norm] } }
    let again = try #require(try rewritten(file)["norm"])
    #expect(again.layer == norm.layer && again.attributes == ["eps": .double(0.25)])
  }

  /// Weights and the list of them from which a recurrent layer runs.
  @Test func recurrentLayersListTheirWeights() throws {
    var file = try checkpoint()
    var rnn = module("rnn", "RNN", .recurrent(Recurrent(.rnnTanh, inputSize: 1, hiddenSize: 1, hasBias: false)))
    for name in ["weight_ih_l0", "weight_hh_l0"] { rnn.parameters[name] = Parameter(try Tensor([1], [1, 1])) }
    try file.updateModels { try $1.change { [rnn] in $0.children = ["rnn": rnn] } }
    let again = try #require(try rewritten(file)["rnn"])
    let names = [Attribute.string("weight_ih_l0"), .string("weight_hh_l0")]
    #expect(again.attributes["_flat_weights_names"] == .list(names))
    #expect(again.attributes["_all_weights"] == .list([.list(names)]))
    let weights = again.parameters.values.map { Attribute.tensor(.init($0.tensor, requiresGrad: true)) }
    #expect(again.attributes["_flat_weights"] == .list(weights))
  }

  @Test func timmsLayersComeBack() throws {
    var file = try checkpoint()
    let children = Self.timm.enumerated().map { place, entry in
      ("m\(place)", Module(ClassName("timm.layers.\(entry.0)", entry.1), layer: entry.2))
    }
    try file.updateModels { try $1.change { $0.children = OrderedDictionary(uniqueKeysWithValues: children) } }
    let again = try rewritten(file)
    #expect(again.children.keys.elementsEqual(children.map(\.0)))
    for (name, child) in children { #expect(again[name]?.layer == child.layer, "\(child.className)") }
    #expect(again["m2"]?.attributes["_fast_norm"] == .bool(false) && again["m3"]?.attributes["_fast_norm"] == nil)
    #expect(again["m9"]?.attributes == ["num_parameters": .int(1), "init": .double(0.25)])
  }

  @Test func aChangedLayer() throws {
    var file = try checkpoint()
    let before = try #require(file.preferred.module)
    try file.updateModels { _, model in
      try model.change { root in
        root.change("3") {
          $0.layer = .convolution(
            with(convolution($0)) {
              $0.stride = [3, 1]
              $0.padding = nil
            })
        }
        root.change("1") { $0.layer = .batchNorm(BatchNorm(rank: 2, features: 8, eps: 0.5, momentum: nil)) }
        root.change("10") { $0.layer = .activation(Activation(.relu6)) }
        root.change("11") { $0.layer = .adaptivePool(AdaptivePool(.average, outputSize: [2, nil])) }
        root.change("2") {
          $0.className = ClassName("torch.nn.modules.activation", "LeakyReLU")
          $0.layer = .activation(Activation(.leakyReLU, isInPlace: true))
        }
      }
    }
    let after = try #require(file.preferred.module)
    let again = try rewritten(file)
    for (path, child) in after.children { #expect(again[path]?.layer == child.layer, "\(path)") }
    var attributes = try #require(before["3"]).attributes
    attributes["stride"] = .tuple([.int(3), .int(1)])
    attributes["padding"] = .string("same")
    // Kernel 3, dilation 2: two on either side.
    attributes["_reversed_padding_repeated_twice"] = .list([.int(2), .int(2), .int(2), .int(2)])
    #expect(again["3"]?.attributes == attributes)
    attributes = try #require(before["1"]).attributes
    attributes["eps"] = .double(0.5)
    attributes["momentum"] = Attribute.none
    #expect(again["1"]?.attributes == attributes)
    #expect(again["10"]?.attributes == before["10"]?.attributes.merging(["inplace": .bool(false)]) { $1 })
    #expect(again["2"]?.className.name == "LeakyReLU")
    #expect(again["2"]?.attributes == ["inplace": .bool(true), "negative_slope": .double(0.01)])
    // What was not changed has the attributes that it had, in the form that they had.
    for path in ["0", "4", "5", "6", "7", "8", "9", "12", "13", "14"] {
      #expect(again[path]?.attributes == before[path]?.attributes, "\(path)")
    }
  }

  @Test func classNamesAndBuffersThatAreLeftOut() throws {
    for name in ["conv_bn_small.pt", "protocol0_module"] {
      var file = name == "protocol0_module" ? try protocol0() : try checkpoint(name)
      try file.updateModels { _, model in
        try model.change {
          $0.className = ClassName("my.models", "Net")
          $0.layer = .opaque
          $0.buffers["extra"] = try Tensor([1])
          $0.nonPersistentBuffers = ["extra", "more"]
        }
      }
      let again = try rewritten(file)
      #expect(again.className == ClassName("my.models", "Net"))
      #expect(again.nonPersistentBuffers == ["extra", "more"])
      #expect(again.stateDict()["extra"] == nil)
      #expect(again.buffers.keys.last == "extra")
    }
  }

  /// As the first protocols make objects: by a function of copyreg.
  private func protocol0() throws -> Checkpoint {
    let state = Pickled.dict([
      ("training", Pickled.bool(false)), ("_parameters", Pickled.dict([:])), ("_buffers", Pickled.dict([:])),
      ("_modules", Pickled.dict([:])),
    ])
    let object = Pickled.call(
      "copy_reg._reconstructor", [Pickled.global("old.Net"), Pickled.global("__builtin__.object"), Pickled.none])
    return try Checkpoint(Pickled.file(object + state + [0x62], storage: 4))
  }

  @Test func whatCannotBeExpressed() throws {
    func message(_ path: String, _ change: (inout Module) -> Void) throws -> String? {
      var file = try checkpoint()
      try file.updateModels { try $1.change { $0.change(path, change) } }
      return refusal { _ = try rewritten(file) }?.replacing("\(TorchFixtures.path("conv_bn_small.pt")): ", with: "")
    }
    let advice = "change className too, to a class that computes this layer"
    #expect(
      try message("5") { $0.layer = .activation(Activation(.relu)) }
        == "5: a torch.nn.modules.activation.SiLU has no attributes for its layer, "
        + "activation(Activation(kind: Activation.Kind.relu, isInPlace: false)); \(advice)")
    #expect(
      try message("0") { $0.layer = .convolution(Convolution(inChannels: 3, outChannels: 8, kernelSize: [3])) }?
        .hasPrefix("0: a torch.nn.modules.conv.Conv2d has no attributes for its layer, convolution(") == true)
    #expect(
      try message("1") { $0.layer = .opaque }
        == "1: a torch.nn.modules.batchnorm.BatchNorm2d has no attributes for its layer, opaque; \(advice)")
    #expect(
      try message("") { $0.children["new"] = self.module("linear", "Linear", .flatten(Flatten())) }
        == "new: a torch.nn.modules.linear.Linear has no attributes for its layer, "
        + "flatten(Flatten(start: 1, end: -1)); \(advice)")
    #expect(
      try message("1") {
        $0.layer = .batchNorm(BatchNorm(rank: 2, features: 8, eps: 0.25))
        $0.attributes["eps"] = .double(0.5)
      } == "1: its attribute 'eps' and its layer say different things")
    // Changed attributes alone are written as they are.
    #expect(try message("1") { $0.attributes["eps"] = .double(0.5) } == nil)
  }

  private func convolution(_ module: Module) -> Convolution {
    if case .convolution(let layer) = module.layer { return layer }
    return Convolution(inChannels: 0, outChannels: 0, kernelSize: [])
  }

  private func with<T>(_ value: T, _ change: (inout T) -> Void) -> T {
    var value = value
    change(&value)
    return value
  }

  /// PyTorch's classes look for a bias that is None.
  @Test func absentTensorsAreNone() throws {
    var file = try checkpoint()
    try file.updateModels { _, model in
      try model.change { root in
        root.change("0") { $0.parameters["bias"] = nil }
        root.children["new"] = module("linear", "Linear", .linear(Linear(inFeatures: 1, outFeatures: 1)))
      }
    }
    let folder = try TemporaryFolder()
    try file.write(to: folder["none.pt"])
    let graph = try TorchFile(FileBytes(mapping: folder["none.pt"])).graph
    func part(_ name: String, of reference: Int) -> OrderedDictionary<String, Int> {
      graph.stateDictionary(reference).flatMap { graph.dictionary($0)?[name] }.flatMap { graph.dictionary($0) } ?? [:]
    }
    let children = part("_modules", of: graph.root)
    let conv = part("_parameters", of: try #require(children["0"]))
    #expect(conv.keys == ["weight", "bias"])
    #expect(conv["bias"].map { graph.isNone($0) } == true)
    let linear = part("_parameters", of: try #require(children["new"]))
    #expect(linear.keys == ["weight", "bias"] && linear.values.allSatisfy { graph.isNone($0) })
  }
}
