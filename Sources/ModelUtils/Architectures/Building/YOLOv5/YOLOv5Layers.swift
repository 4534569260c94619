import ModelCore

/// The building blocks of YOLOv5's models/common.py and models/experimental.py.
struct YOLOv5Blocks {
  /// What a block does behind its batch norm.
  enum Act {
    case standard
    case none
    case own(YOLOv5Activation)
  }

  let make: ModuleBuilder
  /// One object that all blocks of a model share, as in YOLOv5 7.0.
  let standardActivation: Module

  init(_ make: ModuleBuilder, activation: YOLOv5Activation?) {
    self.make = make
    standardActivation = activation.map { Self.module($0, make) } ?? make.activation(.silu)
  }

  static func className(_ name: String, in file: String = "common") -> ClassName { ClassName("models.\(file)", name) }

  static func module(_ activation: YOLOv5Activation, _ make: ModuleBuilder) -> Module {
    guard let kind = activation.kind else { return make.identity() }
    return make.activation(
      kind, inplace: activation.isInPlace,
      attributes: kind == .leakyReLU ? ["negative_slope": .double(activation.slope ?? 0.01)] : [:])
  }

  private func module(_ act: Act) -> Module {
    switch act {
    case .standard: standardActivation
    case .none: make.identity()
    case .own(let activation): Self.module(activation, make)
    }
  }

  // MARK: Convolutions

  func conv(
    _ inputs: Int, _ outputs: Int, _ kernel: Int = 1, stride: Int = 1, groups: Int = 1, act: Act = .standard
  ) -> Module {
    conv(inputs, outputs, [kernel, kernel], stride: [stride, stride], groups: groups, act: act)
  }

  /// Convolution, batch norm, activation. Without a padding the size stays, but for the stride.
  func conv(
    _ inputs: Int, _ outputs: Int, _ kernel: [Int], stride: [Int], padding: [Int]? = nil, groups: Int = 1,
    dilation: Int = 1, act: Act = .standard, name: String = "Conv"
  ) -> Module {
    let reach = kernel.map { dilation > 1 ? dilation &* ($0 &- 1) &+ 1 : $0 }
    return make.module(
      Self.className(name),
      [
        "conv": make.conv2d(
          inputs, outputs, kernel, stride: stride, padding: padding ?? reach.map { $0 / 2 },
          dilation: [dilation, dilation], groups: groups, bias: false),
        "bn": make.batchNorm2d(outputs), "act": module(act),
      ])
  }

  /// `DWConv`: as many groups as divide both.
  func depthwise(
    _ inputs: Int, _ outputs: Int, _ kernel: [Int] = [1, 1], stride: [Int] = [1, 1], dilation: Int = 1,
    act: Act = .standard
  ) -> Module {
    conv(
      inputs, outputs, kernel, stride: stride, groups: greatestCommonDivisor(inputs, outputs), dilation: dilation,
      act: act, name: "DWConv")
  }

  func transposed(
    _ inputs: Int, _ outputs: Int, _ kernel: [Int], stride: [Int], padding: [Int], outputPadding: [Int], groups: Int,
    bias: Bool, dilation: Int = 1, _ className: ClassName
  ) -> Module {
    make.convolution(
      className,
      Convolution(
        isTransposed: true, inChannels: inputs, outChannels: outputs, kernelSize: kernel, stride: stride,
        padding: padding, dilation: [dilation, dilation], groups: groups, outputPadding: outputPadding), bias: bias)
  }

  func focus(
    _ inputs: Int, _ outputs: Int, _ kernel: [Int], stride: [Int], padding: [Int]?, groups: Int, act: Act
  ) -> Module {
    make.module(
      Self.className("Focus"),
      ["conv": conv(inputs &* 4, outputs, kernel, stride: stride, padding: padding, groups: groups, act: act)])
  }

  func ghostConv(
    _ inputs: Int, _ outputs: Int, _ kernel: [Int] = [1, 1], stride: [Int] = [1, 1], groups: Int = 1,
    act: Act = .standard
  ) -> Module {
    let half = outputs / 2
    // Both convolutions get the activation that was made for the call.
    let shared = if case .own(let activation) = act { Self.module(activation, make) } else { nil as Module? }
    var first = conv(inputs, half, kernel, stride: stride, groups: groups, act: act)
    var second = conv(half, half, 5, groups: max(half, 1), act: act)
    if let shared {
      first.children["act"] = shared
      second.children["act"] = shared
    }
    return make.module(Self.className("GhostConv"), ["cv1": first, "cv2": second])
  }

  /// Convolutions of several kernels, each with its share of the channels.
  func mixed(_ inputs: Int, _ outputs: Int, _ kernels: [Int], stride: [Int]) -> Module {
    let shares = Self.shares(of: outputs, among: kernels.count)
    let convolutions = zip(kernels, shares).map { kernel, share in
      make.conv2d(
        inputs, share, [kernel, kernel], stride: stride, padding: [kernel / 2, kernel / 2],
        groups: greatestCommonDivisor(inputs, share), bias: false)
    }
    return make.module(
      Self.className("MixConv2d", in: "experimental"),
      ["m": make.moduleList(convolutions), "bn": make.batchNorm2d(outputs), "act": make.activation(.silu)])
  }

  /// How many of `count` float32 steps from 0 to `parts` - 1e-6 fall between each two whole numbers: `linspace` from
  /// both ends.
  static func shares(of count: Int, among parts: Int) -> [Int] {
    var shares = [Int](repeating: 0, count: parts)
    let end = Float(Double(parts) - 1e-6)
    let step = count > 1 ? end / Float(count - 1) : 0
    for index in 0..<count {
      let value = index < count / 2 ? step * Float(index) : end - step * Float(count - index - 1)
      let part = Int(value.rounded(.down))
      if shares.indices.contains(part) { shares[part] += 1 }
    }
    return shares
  }
}

func greatestCommonDivisor(_ first: Int, _ second: Int) -> Int {
  var (a, b) = (first, second)
  while b != 0 { (a, b) = (b, a % b) }
  return max(a, 1)
}
