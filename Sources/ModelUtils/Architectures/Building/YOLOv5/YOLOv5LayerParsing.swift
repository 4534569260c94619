import ModelCore

/// One line of a description as modules: YOLOv5's `parse_model`.
struct YOLOv5LayerParser {
  let make: ModuleBuilder
  let configuration: YOLOv5Configuration
  let blocks: YOLOv5Blocks
  /// The channels of every layer's output so far.
  private(set) var channels: [Int] = []

  init(_ make: ModuleBuilder, _ configuration: YOLOv5Configuration) {
    (self.make, self.configuration) = (make, configuration)
    blocks = YOLOv5Blocks(make, activation: configuration.activation)
  }

  /// What joining and folding may add up to.
  private static let channelLimit = 1 << 30

  /// Layers whose first argument is a number of output channels, scaled by the width.
  private static let scaled: Set<String> = [
    "Conv", "GhostConv", "Bottleneck", "GhostBottleneck", "SPP", "SPPF", "DWConv", "MixConv2d", "Focus", "CrossConv",
    "BottleneckCSP", "C3", "C3TR", "C3SPP", "C3Ghost", "nn.ConvTranspose2d", "DWConvTranspose2d", "C3x",
  ]
  /// Those of them that repeat inside instead of being repeated.
  private static let stacked: Set<String> = ["BottleneckCSP", "C3", "C3TR", "C3Ghost", "C3x"]

  /// The module that a line stands for, with the attributes that its model's forward reads.
  mutating func module(_ layer: YOLOv5Configuration.Layer) -> Module {
    let index = channels.count
    make.place = layer.line.map { "line \($0): layer \(index) (\(layer.module.printable(limit: 40)))" }
    let sources = layer.from.map { source(of: $0, at: index) }
    let takesList = ["Concat", "Detect", "Segment"].contains(layer.module)
    if takesList != layer.isFromList {
      make.refuse("takes \(takesList ? "a list of layers" : "one layer, not a list")")
    }
    let repeats = Self.scaledRepeats(layer.repeats, configuration.depthMultiple)
    let (module, outputs) = build(layer, sources, repeats: repeats)
    if outputs > Self.channelLimit { make.refuse("gives \(outputs) channels; at most \(Self.channelLimit) are built") }
    channels.append(min(outputs, Self.channelLimit))
    return annotated(module, layer, index)
  }

  /// Rounded as Python does, half to even, and at least 1.
  static func scaledRepeats(_ repeats: Int, _ multiple: Double) -> Int {
    repeats > 1 ? max(Int((Double(repeats) * multiple).rounded(.toNearestOrEven)), 1) : repeats
  }

  /// The channels of a source: -1 is the layer before, other negative numbers count back, the first layer sees the
  /// picture.
  private func source(of from: Int, at index: Int) -> Int {
    if index == 0 {
      if from != -1 { make.refuse("the first layer takes the picture: -1, not \(from)") }
      return configuration.channels
    }
    let position = from < 0 ? index + from : from
    guard channels.indices.contains(position) else {
      make.refuse("takes the output of layer \(from), which is none before it")
      return 1
    }
    return channels[position]
  }

  private func build(_ layer: YOLOv5Configuration.Layer, _ sources: [Int], repeats: Int) -> (Module, Int) {
    let name = layer.module
    let input = sources.first ?? 1
    if Self.scaled.contains(name) {
      var (arguments, repeats) = (layer.arguments, repeats)
      guard case .int(let wanted)? = arguments.first, (1...YOLOv5Configuration.channelLimit).contains(wanted) else {
        make.refuse("its first argument must be a number of channels from 1 to \(YOLOv5Configuration.channelLimit)")
        return (make.identity(), 1)
      }
      let outputs = wanted == configuration.outputCount ? wanted : scaled(wanted)
      arguments.removeFirst()
      if Self.stacked.contains(name) {
        arguments.insert(.int(repeats), at: 0)
        repeats = 1
      }
      return (repeated(repeats) { channelled(name, input, outputs, arguments) }, outputs)
    }
    switch name {
    case "Detect", "Segment": return (head(name, layer.arguments, sources), input)
    case "nn.BatchNorm2d": return (repeated(repeats) { make.batchNorm2d(input) }, input)
    default: break
    }
    var outputs = input
    let module = repeated(repeats) {
      var arguments = YOLOv5Arguments(layer.arguments, of: name, make)
      defer { arguments.end() }
      return unscaled(name, sources, &arguments, &outputs)
    }
    return (module, outputs)
  }

  /// To a multiple of 8, upwards.
  func scaled(_ channels: Int) -> Int {
    Int((Double(channels) * configuration.widthMultiple / 8).rounded(.up)) * 8
  }

  private func repeated(_ count: Int, _ construct: () -> Module) -> Module {
    count > 1 ? make.sequential(make.repeated(count, construct)) : construct()
  }

  private func annotated(_ module: Module, _ layer: YOLOv5Configuration.Layer, _ index: Int) -> Module {
    var module = module
    var count = 0
    module.visitParameters { count += $0.tensor.count }
    module.attributes["i"] = .int(index)
    module.attributes["f"] = layer.isFromList ? .list(layer.from.map { .int($0) }) : .int(layer.from[0])
    // Repeated layers stand in a Sequential, whose type is theirs.
    let type = module.layer == .sequential ? module.children.values.first?.className : nil
    module.attributes["type"] = .string((type ?? module.className).description)
    module.attributes["np"] = .int(count)
    return module
  }

  // MARK: The classes

  private func channelled(_ name: String, _ inputs: Int, _ outputs: Int, _ arguments: [YOLOv5Argument]) -> Module {
    var arguments = YOLOv5Arguments(arguments, of: name, make)
    defer { arguments.end() }
    switch name {
    case "Conv":
      let (kernel, stride, padding) = (arguments.pair(1), arguments.pair(1), arguments.optionalPair())
      let (groups, dilation) = (arguments.int(1), arguments.int(1))
      return blocks.conv(
        inputs, outputs, kernel, stride: stride, padding: padding, groups: groups, dilation: dilation,
        act: arguments.activation())
    case "DWConv":
      let (kernel, stride, dilation) = (arguments.pair(1), arguments.pair(1), arguments.int(1))
      return blocks.depthwise(
        inputs, outputs, kernel, stride: stride, dilation: dilation, act: arguments.activation())
    case "DWConvTranspose2d":
      let (kernel, stride) = (arguments.pair(1), arguments.pair(1))
      let (padding, extra) = (arguments.pair(0), arguments.pair(0))
      return blocks.transposed(
        inputs, outputs, kernel, stride: stride, padding: padding, outputPadding: extra,
        groups: greatestCommonDivisor(inputs, outputs), bias: true, YOLOv5Blocks.className("DWConvTranspose2d"))
    case "nn.ConvTranspose2d":
      let (kernel, stride) = (arguments.optionalPair(), arguments.pair(1))
      let (padding, extra, groups) = (arguments.pair(0), arguments.pair(0), arguments.int(1))
      let (bias, dilation) = (arguments.bool(true), arguments.int(1))
      if kernel == nil { make.refuse("nn.ConvTranspose2d needs a kernel") }
      return blocks.transposed(
        inputs, outputs, kernel ?? [1, 1], stride: stride, padding: padding, outputPadding: extra, groups: groups,
        bias: bias, dilation: dilation, ClassName("torch.nn.modules.conv", "ConvTranspose2d"))
    case "Focus":
      let (kernel, stride, padding) = (arguments.pair(1), arguments.pair(1), arguments.optionalPair())
      let groups = arguments.int(1)
      return blocks.focus(
        inputs, outputs, kernel, stride: stride, padding: padding, groups: groups, act: arguments.activation())
    case "GhostConv":
      let (kernel, stride, groups) = (arguments.pair(1), arguments.pair(1), arguments.int(1))
      return blocks.ghostConv(
        inputs, outputs, kernel, stride: stride, groups: groups, act: arguments.activation())
    case "MixConv2d":
      let (kernels, stride) = (arguments.ints([1, 3]), arguments.pair(1))
      if !arguments.bool(true) { make.refuse("MixConv2d is built with equal shares of the channels only") }
      return blocks.mixed(inputs, outputs, kernels, stride: stride)
    case "GhostBottleneck":
      let (kernel, stride) = (arguments.int(3), arguments.int(1))
      return blocks.ghostBottleneck(inputs, outputs, kernel: kernel, stride: stride)
    case "Bottleneck": return blocks.bottleneck(inputs, outputs, stack(&arguments, repeats: 1))
    case "CrossConv":
      let (kernel, stride) = (arguments.int(3), arguments.int(1))
      let (groups, expansion) = (arguments.int(1), arguments.double(1))
      return blocks.cross(
        inputs, outputs, kernel: kernel, stride: stride,
        .init(hasShortcut: arguments.bool(false), groups: groups, expansion: expansion))
    case "SPP": return blocks.pyramid(inputs, outputs, arguments.ints([5, 9, 13]))
    case "SPPF": return blocks.fastPyramid(inputs, outputs, arguments.int(5))
    case "C3SPP":
      let kernels = arguments.ints([5, 9, 13])
      return blocks.c3Pyramid(inputs, outputs, kernels: kernels, stack(&arguments))
    case "BottleneckCSP": return blocks.csp(inputs, outputs, stack(&arguments))
    case "C3": return blocks.c3(inputs, outputs, stack(&arguments))
    case "C3x": return blocks.c3x(inputs, outputs, stack(&arguments))
    case "C3TR": return blocks.c3Transformer(inputs, outputs, stack(&arguments))
    default: return blocks.c3Ghost(inputs, outputs, stack(&arguments))
    }
  }

  /// Repeats unless given, shortcut, groups, expansion.
  private func stack(_ arguments: inout YOLOv5Arguments, repeats: Int? = nil) -> YOLOv5Blocks.Stack {
    YOLOv5Blocks.Stack(
      repeats: repeats ?? arguments.int(1, in: 1...YOLOv5Configuration.repeatLimit),
      hasShortcut: arguments.bool(true), groups: arguments.int(1), expansion: arguments.double(0.5))
  }

  /// Layers whose channels follow from their input.
  private func unscaled(
    _ name: String, _ sources: [Int], _ arguments: inout YOLOv5Arguments, _ outputs: inout Int
  ) -> Module {
    switch name {
    case "Concat":
      outputs = sources.reduce(0, +)
      let axis = arguments.int(1, in: -4...3)
      return make.module(YOLOv5Blocks.className("Concat"), attributes: ["d": .int(axis)])
    case "Contract", "Expand":
      let gain = arguments.int(in: 1...1024)
      outputs = name == "Contract" ? outputs * gain * gain : outputs / (gain * gain)
      return make.module(YOLOv5Blocks.className(name), attributes: ["gain": .int(gain)])
    case "nn.Upsample":
      let size = arguments.optionalPair()
      let factor = arguments.takes(.none) ? nil : arguments.double(nil)
      let mode = arguments.string("nearest")
      guard (size == nil) != (factor == nil), factor ?? 1 > 0, factor ?? 1 <= 1024 else {
        make.refuse("nn.Upsample takes either a size or a factor")
        return make.identity()
      }
      if !["nearest", "nearest-exact", "bilinear", "bicubic"].contains(mode) {
        make.refuse("nn.Upsample has no mode '\(mode)'")
      }
      return make.upsample(factor.map { .scale([$0]) } ?? .size(size ?? []), mode: mode)
    case "nn.MaxPool2d", "nn.AvgPool2d":
      let (kernel, stride) = (arguments.int(), arguments.optionalInt(in: 1...1024))
      let padding = arguments.int(0, in: 0...1024)
      return name == "nn.MaxPool2d"
        ? make.maxPool2d(kernel, stride: stride, padding: padding)
        : make.avgPool2d(kernel, stride: stride, padding: padding)
    case "nn.ZeroPad2d":
      let amounts = arguments.ints([])
      if amounts.count != 4 { make.refuse("nn.ZeroPad2d takes four amounts in a list") }
      return make.zeroPad2d(amounts.count == 4 ? amounts : [0, 0, 0, 0])
    case "nn.Identity": return make.identity()
    case "nn.Dropout":
      let p = arguments.double(0.5)
      if !(0...1).contains(p) { make.refuse("nn.Dropout takes a probability from 0 to 1") }
      return make.dropout(p)
    default:
      if let activation = try? YOLOv5Activation(name + "()") { return YOLOv5Blocks.module(activation, make) }
      make.refuse("the module '\(name.printable(limit: 40))' is not known")
      return make.identity()
    }
  }
}
