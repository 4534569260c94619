import ModelCore

/// What the stages of a YOLOv6 network are made of: the configuration's `training_mode`.
enum YOLOv6Mode: String, Sendable, CaseIterable {
  /// Branches that are merged for inference.
  case repvgg
  /// A convolution, its batch norm and ReLU or SiLU.
  case convolutionReLU = "conv_relu"
  case convolutionSiLU = "conv_silu"
  /// RepOptimizer's: the merged block, and the one whose branches' scales are searched.
  case repopt
  case hyperSearch = "hyper_search"
  /// Branches that stay exact when they are quantised.
  case qarepvgg, qarepvggv2
}

/// The building blocks of YOLOv6's layers/common.py, release 0.4, built in the order in which its constructors draw.
struct YOLOv6Layers {
  let make: ModuleBuilder
  let mode: YOLOv6Mode

  static func className(_ name: String) -> ClassName { ClassName("yolov6.layers.common", name) }

  // MARK: Convolutions

  /// Convolution without bias, batch norm and an activation, of a size that is halved by the stride alone.
  func convModule(
    _ inputs: Int, _ outputs: Int, _ kernel: Int, stride: Int = 1, groups: Int = 1, _ activation: Activation.Kind?
  ) -> Module {
    var children: OrderedDictionary<String, Module> = [
      "conv": make.conv2d(
        inputs, outputs, kernel, stride: stride, padding: kernel / 2, groups: groups, bias: false),
      "bn": make.batchNorm2d(outputs),
    ]
    children["act"] = activation.map { make.activation($0) }
    return make.module(
      Self.className("ConvModule"), attributes: ["activation_type": Self.attribute(of: activation)], children)
  }

  private static func attribute(of activation: Activation.Kind?) -> Attribute {
    switch activation {
    case .relu: .string("relu")
    case .silu: .string("silu")
    case .hardswish: .string("hardswish")
    default: .none
    }
  }

  /// The same under the name `block`: `ConvBNReLU`, `ConvBNSiLU`, `ConvBNHS` and `ConvBN`.
  func conv(
    _ inputs: Int, _ outputs: Int, _ kernel: Int, stride: Int = 1, groups: Int = 1,
    _ activation: Activation.Kind? = .relu
  ) -> Module {
    let name =
      switch activation {
      case .silu: "ConvBNSiLU"
      case .hardswish: "ConvBNHS"
      case nil: "ConvBN"
      default: "ConvBNReLU"
      }
    return make.module(
      Self.className(name),
      ["block": convModule(inputs, outputs, kernel, stride: stride, groups: groups, activation)])
  }

  /// Twice the size, `Transpose`.
  func transpose(_ channels: Int) -> Module {
    make.module(
      Self.className("Transpose"),
      [
        "upsample_transpose": make.convolution(
          ClassName("torch.nn.modules.conv", "ConvTranspose2d"),
          Convolution(
            isTransposed: true, inChannels: channels, outChannels: channels, kernelSize: [2, 2], stride: [2, 2]),
          bias: true)
      ])
  }

  // MARK: Blocks of a stage

  /// A 3×3 block as the mode has it.
  func block(_ inputs: Int, _ outputs: Int, stride: Int = 1) -> Module {
    switch mode {
    case .repvgg: repVGG(inputs, outputs, stride: stride)
    case .convolutionReLU: conv(inputs, outputs, 3, stride: stride)
    case .convolutionSiLU: conv(inputs, outputs, 3, stride: stride, .silu)
    case .repopt: real(inputs, outputs, stride: stride)
    case .hyperSearch: linearAdd(inputs, outputs, stride: stride)
    case .qarepvgg, .qarepvggv2: qaRepVGG(inputs, outputs, stride: stride)
    }
  }

  func repVGG(_ inputs: Int, _ outputs: Int, stride: Int = 1) -> Module {
    var children: OrderedDictionary<String, Module> = [
      "nonlinearity": make.activation(.relu), "se": make.identity(),
    ]
    if inputs == outputs, stride == 1 { children["rbr_identity"] = make.batchNorm2d(inputs) }
    children["rbr_dense"] = convModule(inputs, outputs, 3, stride: stride, nil)
    children["rbr_1x1"] = convModule(inputs, outputs, 1, stride: stride, nil)
    var attributes = branched(inputs, outputs)
    if children["rbr_identity"] == nil { attributes["rbr_identity"] = Attribute.none }
    return make.module(Self.className("RepVGGBlock"), attributes: attributes, children)
  }

  /// The constructor makes RepVGG's branches first, and throws two of them away.
  private func qaRepVGG(_ inputs: Int, _ outputs: Int, stride: Int) -> Module {
    let plain = repVGG(inputs, outputs, stride: stride)
    let isSame = inputs == outputs && stride == 1
    let averages = mode == .qarepvggv2
    var children = plain.children
    children["rbr_1x1"] = make.conv2d(inputs, outputs, 1, stride: stride, bias: false)
    if isSame { children["rbr_identity"] = make.identity() }
    children["bn"] = make.batchNorm2d(outputs)
    if averages, isSame { children["rbr_avg"] = make.avgPool2d(3, stride: stride, padding: 1) }
    return make.module(
      Self.className(averages ? "QARepVGGBlockV2" : "QARepVGGBlock"), attributes: plain.attributes, children)
  }

  private func branched(_ inputs: Int, _ outputs: Int) -> OrderedDictionary<String, Attribute> {
    ["deploy": .bool(false), "groups": .int(1), "in_channels": .int(inputs), "out_channels": .int(outputs)]
  }

  private func real(_ inputs: Int, _ outputs: Int, stride: Int) -> Module {
    make.module(
      Self.className("RealVGGBlock"),
      [
        "relu": make.activation(.relu),
        "conv": make.conv2d(inputs, outputs, 3, stride: stride, padding: 1, bias: false),
        "bn": make.batchNorm2d(outputs), "se": make.identity(),
      ])
  }

  private func linearAdd(_ inputs: Int, _ outputs: Int, stride: Int) -> Module {
    func scale() -> Module {
      make.module(
        Self.className("ScaleLayer"), attributes: ["num_features": .int(outputs), "bias": Attribute.none],
        parameters: ["weight": make.parameter([outputs], .constant(1))])
    }
    var children: OrderedDictionary<String, Module> = [
      "relu": make.activation(.relu),
      "conv": make.conv2d(inputs, outputs, 3, stride: stride, padding: 1, bias: false), "scale_conv": scale(),
      "conv_1x1": make.conv2d(inputs, outputs, 1, stride: stride, bias: false), "scale_1x1": scale(),
    ]
    if inputs == outputs, stride == 1 { children["scale_identity"] = scale() }
    children["bn"] = make.batchNorm2d(outputs)
    children["se"] = make.identity()
    return make.module(
      Self.className("LinearAddBlock"), attributes: ["in_channels": .int(inputs)], children)
  }

  // MARK: Stages

  /// `RepBlock`: blocks one behind the other.
  func repBlock(_ inputs: Int, _ outputs: Int, _ count: Int) -> Module {
    chain(inputs, outputs, count) { block($0, $1) }
  }

  private func chain(_ inputs: Int, _ outputs: Int, _ count: Int, _ block: (Int, Int) -> Module) -> Module {
    var children: OrderedDictionary<String, Module> = ["conv1": block(inputs, outputs)]
    if count > 1 { children["block"] = make.sequential(make.repeated(count - 1) { block(outputs, outputs) }) }
    return make.module(
      Self.className("RepBlock"), attributes: count > 1 ? [:] : ["block": Attribute.none], children)
  }

  /// `BepC3`: two branches, one of them through bottlenecks.
  /// - Parameter share: the branches' channels as a share of the outputs.
  func bepC3(_ inputs: Int, _ outputs: Int, _ count: Int, share: Double) -> Module {
    let channels = Int(Double(outputs) * share)
    func branches(_ activation: Activation.Kind) -> OrderedDictionary<String, Module> {
      [
        "cv1": conv(inputs, channels, 1, activation), "cv2": conv(inputs, channels, 1, activation),
        "cv3": conv(2 * channels, outputs, 1, activation),
      ]
    }
    // What is made twice moves the generator on twice.
    var children = branches(.relu)
    if mode == .convolutionSiLU { children = branches(.silu) }
    _ = chain(channels, channels, count) { bottleneck($0, $1, isScaled: false, repVGG) }
    children["m"] = chain(channels, channels, count / 2) { bottleneck($0, $1, isScaled: true, block) }
    return make.module(Self.className("BepC3"), children)
  }

  /// `MBLABlock`: every branch is kept at each of its steps; there is one branch, or a short and a long one.
  /// - Parameter share: each branch's channels as a share of the outputs.
  func mbla(_ inputs: Int, _ outputs: Int, _ count: Int, share: Double) -> Module {
    let steps = max(count / 2, 1)
    var lengths = [steps]
    if steps > 1 {
      var short = 1
      while short * 2 < steps { short *= 2 }
      lengths.insert(short, at: 0)
    }
    let channels = Int(Double(outputs) * share)
    func convolutions(_ activation: Activation.Kind) -> OrderedDictionary<String, Module> {
      [
        "cv1": convModule(inputs, (lengths.count + 1) * channels, 1, activation),
        "cv2": convModule((lengths.reduce(0, +) + lengths.count + 1) * channels, outputs, 1, activation),
      ]
    }
    var children = convolutions(.relu)
    if mode == .convolutionSiLU { children = convolutions(.silu) }
    let branches = lengths.map { length in
      make.sequential(make.repeated(length) { longBottleneck(channels) })
    }
    children["m"] = make.moduleList(branches)
    return make.module(
      Self.className("MBLABlock"),
      attributes: ["split_num": .tuple([Attribute](repeating: .int(channels), count: lengths.count + 1))], children)
  }

  private func longBottleneck(_ channels: Int) -> Module {
    make.module(
      Self.className("BottleRep3"), attributes: ["shortcut": .bool(true)],
      [
        "conv1": block(channels, channels), "conv2": block(channels, channels), "conv3": block(channels, channels),
      ], parameters: ["alpha": make.parameter([1], .constant(1))])
  }

  private func bottleneck(
    _ inputs: Int, _ outputs: Int, isScaled: Bool, _ block: (Int, Int, Int) -> Module
  ) -> Module {
    let children: OrderedDictionary<String, Module> = [
      "conv1": block(inputs, outputs, 1), "conv2": block(outputs, outputs, 1),
    ]
    return make.module(
      Self.className("BottleRep"), attributes: ["shortcut": .bool(inputs == outputs)], children,
      parameters: isScaled ? ["alpha": make.parameter([1], .constant(1))] : [:])
  }

  // MARK: Pooling

  /// Three pools of 5×5 one behind the other; `isSplit` takes a second branch past them.
  func pooling(_ channels: Int, isSplit: Bool, _ activation: Activation.Kind) -> Module {
    let half = channels / 2
    let prefix = activation == .silu ? "" : "Sim"
    func pool() -> Module { make.maxPool2d(5, stride: 1, padding: 2) }
    guard isSplit else {
      let inner = make.module(
        Self.className("SPPFModule"),
        [
          "cv1": conv(channels, half, 1, activation), "cv2": conv(4 * half, channels, 1, activation), "m": pool(),
        ])
      return make.module(Self.className("\(prefix)SPPF"), ["sppf": inner])
    }
    let inner = make.module(
      Self.className("CSPSPPFModule"),
      [
        "cv1": conv(channels, half, 1, activation), "cv2": conv(channels, half, 1, activation),
        "cv3": conv(half, half, 3, activation), "cv4": conv(half, half, 1, activation), "m": pool(),
        "cv5": conv(4 * half, half, 1, activation), "cv6": conv(half, half, 3, activation),
        "cv7": conv(2 * half, channels, 1, activation),
      ])
    return make.module(Self.className("\(prefix)CSPSPPF"), ["cspsppf": inner])
  }

  /// `BiFusion`: a level, the one below it and the one below that.
  func biFusion(_ middle: Int, _ fine: Int, _ outputs: Int) -> Module {
    make.module(
      Self.className("BiFusion"),
      [
        "cv1": conv(middle, outputs, 1), "cv2": conv(fine, outputs, 1), "cv3": conv(3 * outputs, outputs, 1),
        "upsample": transpose(outputs), "downsample": conv(outputs, outputs, 3, stride: 2),
      ])
  }
}
