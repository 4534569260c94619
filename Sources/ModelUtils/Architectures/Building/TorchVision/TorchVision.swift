import ModelCore
import ModelRandom

/// What torchvision's families have in common.
enum TorchVision {
  static func className(_ file: String, _ name: String) -> ClassName { ClassName("torchvision.models.\(file)", name) }

  static let conv2dNormActivation = ClassName("torchvision.ops.misc", "Conv2dNormActivation")
  static let mlp = ClassName("torchvision.ops.misc", "MLP")

  /// torchvision's `_make_divisible`: the nearest multiple of `divisor`, but never less than nine tenths of `value`.
  static func makeDivisible(_ value: Double, by divisor: Int = 8) -> Int {
    let nearest = max(divisor, Int(value + Double(divisor) / 2) / divisor * divisor)
    return Double(nearest) < 0.9 * value ? nearest + divisor : nearest
  }
}

extension Architecture {
  /// One of torchvision's, with 1000 classes unless told otherwise.
  init(torchVision name: String, _ make: @escaping @Sendable (ModuleBuilder, Int) -> Module) {
    self.init(name, classes: 1000, make)
  }
}

/// What constructors do to the weights of their whole model, in `modules()` order. Batch norms keep their 1 and 0.
extension ModuleBuilder {
  func forEachConvolution(in root: Module, _ body: (Module, Fans) -> Void) {
    root.visitModules { module in
      guard case .convolution = module.layer, let weight = module.parameters["weight"] else { return }
      body(module, Fans(weight.tensor.shape))
    }
  }

  /// For every convolution and fully connected layer normal numbers, and a bias of 0.
  func initialize(_ root: Module, standardDeviation: Double) {
    root.visitModules { module in
      switch module.layer {
      case .convolution, .linear:
        set(module.parameters["weight"], to: .normal(standardDeviation: standardDeviation))
        set(module.parameters["bias"], to: .constant(0))
      default: break
      }
    }
  }

  /// For every convolution `kaiming_normal_` by fan out and a bias of 0; for every fully connected layer what `linear`
  /// says, and a bias of 0.
  func initialize(_ root: Module, linear: (Fans) -> InitialValue?) {
    root.visitModules { module in
      guard let weight = module.parameters["weight"] else { return }
      switch module.layer {
      case .convolution:
        let fans = Fans(weight.tensor.shape)
        set(weight, to: .normal(standardDeviation: Fans.kaimingDeviation(fans.output)))
      case .linear:
        guard let value = linear(Fans(weight.tensor.shape)) else { return }
        set(weight, to: value)
      default: return
      }
      set(module.parameters["bias"], to: .constant(0))
    }
  }
}

/// The blocks of `torchvision.ops`.
extension ModuleBuilder {
  /// A batch norm's or layer norm's maker, for the blocks that are given one.
  typealias Norm = (Int) -> Module

  /// `Conv2dNormActivation`: a convolution whose padding keeps the size, a norm, an activation.
  func conv2dNormActivation(
    _ inputs: Int, _ outputs: Int, kernel: Int = 3, stride: Int = 1, padding: Int? = nil, groups: Int = 1,
    norm: Norm? = nil, activation kind: Activation.Kind?, inplace: Bool = true, bias: Bool = false,
    className: ClassName = TorchVision.conv2dNormActivation
  ) -> Module {
    var layers = [
      conv2d(
        inputs, outputs, kernel, stride: stride, padding: padding ?? (kernel - 1) / 2, groups: groups, bias: bias)
    ]
    layers.append(norm?(outputs) ?? batchNorm2d(outputs))
    if let kind { layers.append(activation(kind, inplace: inplace)) }
    return module(className, attributes: ["out_channels": .int(outputs)], Self.numbered(layers))
  }

  /// `SqueezeExcitation`: a gate for each channel, made of the averages of all.
  func squeezeExcitation(
    _ channels: Int, _ squeezed: Int, activation first: Module? = nil, scale: Activation.Kind = .sigmoid
  ) -> Module {
    module(
      ClassName("torchvision.ops.misc", "SqueezeExcitation"),
      [
        "avgpool": adaptiveAvgPool2d(1), "fc1": conv2d(channels, squeezed, 1), "fc2": conv2d(squeezed, channels, 1),
        "activation": first ?? activation(.relu), "scale_activation": activation(scale),
      ])
  }

  func stochasticDepth(_ p: Double) -> Module {
    module(
      ClassName("torchvision.ops.stochastic_depth", "StochasticDepth"),
      attributes: ["p": .double(p), "mode": .string("row")])
  }

  func permute(_ axes: [Int]) -> Module {
    module(ClassName("torchvision.ops.misc", "Permute"), attributes: ["dims": .list(axes.map { .int($0) })])
  }
}
