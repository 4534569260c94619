import ModelCore
import ModelRandom

/// PyTorch's own layers, with its default initialisation.
extension ModuleBuilder {
  func conv2d(
    _ inputs: Int, _ outputs: Int, _ kernel: Int, stride: Int = 1, padding: Int = 0, dilation: Int = 1,
    groups: Int = 1, bias: Bool = true
  ) -> Module {
    conv2d(
      inputs, outputs, [kernel, kernel], stride: [stride, stride], padding: [padding, padding],
      dilation: [dilation, dilation], groups: groups, bias: bias)
  }

  func conv2d(
    _ inputs: Int, _ outputs: Int, _ kernel: [Int], stride: [Int], padding: [Int], dilation: [Int] = [1, 1],
    groups: Int = 1, bias: Bool = true
  ) -> Module {
    convolution(
      ClassName("torch.nn.modules.conv", "Conv2d"),
      Convolution(
        inChannels: inputs, outChannels: outputs, kernelSize: kernel, stride: stride, padding: padding,
        dilation: dilation, groups: groups), bias: bias)
  }

  /// Weight, then bias, both in ±1/√fan, where the fan is the weight's second axis times the kernel.
  func convolution(_ className: ClassName, _ configuration: Convolution, bias: Bool) -> Module {
    guard let shape = configuration.weightShape, shape.allSatisfy({ $0 > 0 }),
      configuration.stride.allSatisfy({ $0 > 0 }), configuration.dilation.allSatisfy({ $0 > 0 }),
      configuration.padding?.allSatisfy({ $0 >= 0 }) ?? true, configuration.outputPadding.allSatisfy({ $0 >= 0 })
    else {
      refuse(
        """
        there is no convolution of \(configuration.inChannels) to \(configuration.outChannels) channels in \
        \(configuration.groups) groups with kernel \(configuration.kernelSize), stride \(configuration.stride), \
        padding \(configuration.padding ?? []) and dilation \(configuration.dilation)
        """)
      return module(className)
    }
    return Module(
      className, layer: .convolution(configuration), isTraining: true,
      parameters: weightAndBias(shape, bias: bias ? configuration.outChannels : nil))
  }

  func linear(
    _ inputs: Int, _ outputs: Int, bias: Bool = true,
    _ className: ClassName = ClassName("torch.nn.modules.linear", "Linear")
  ) -> Module {
    let isKnown = className.name == "Linear"
    return Module(
      className, layer: isKnown ? .linear(Linear(inFeatures: inputs, outFeatures: outputs)) : .opaque,
      isTraining: true, parameters: weightAndBias([outputs, inputs], bias: bias ? outputs : nil),
      attributes: isKnown ? [:] : ["in_features": .int(inputs), "out_features": .int(outputs)])
  }

  /// PyTorch's default: the weight by `kaiming_uniform_` with a = √5, the bias in ±1/√fan in.
  private func weightAndBias(_ shape: [Int], bias: Int?) -> OrderedDictionary<String, Parameter> {
    let fan = Fans(shape)
    let weight = parameter(shape, .uniform(bound: fan.kaimingBound(a: 5.0.squareRoot())))
    guard let bias else { return ["weight": weight] }
    return ["weight": weight, "bias": parameter([bias], .uniform(bound: 1 / Double(fan.input).squareRoot()))]
  }

  func batchNorm2d(_ features: Int, eps: Double = 1e-5, momentum: Double = 0.1) -> Module {
    let statistics = freshStatistics
    return Module(
      ClassName("torch.nn.modules.batchnorm", "BatchNorm2d"),
      layer: .batchNorm(BatchNorm(rank: 2, features: features, eps: eps, momentum: momentum)), isTraining: true,
      parameters: ["weight": parameter([features], .constant(1)), "bias": parameter([features], .constant(0))],
      buffers: [
        "running_mean": tensor(.float32, [features]) { $0.initializeMemory(as: UInt8.self, repeating: 0) },
        "running_var": tensor(.float32, [features]) {
          $0.initializeMemory(as: Float.self, repeating: statistics.variance)
        },
        "num_batches_tracked": tensor(.int64, []) {
          $0.initializeMemory(as: Int64.self, repeating: statistics.batches)
        },
      ])
  }

  func layerNorm(
    _ features: Int, eps: Double = 1e-5,
    _ className: ClassName = ClassName("torch.nn.modules.normalization", "LayerNorm"),
    isChannelsFirst: Bool = false
  ) -> Module {
    Module(
      className,
      layer: .layerNorm(LayerNorm(normalizedShape: [features], eps: eps, isChannelsFirst: isChannelsFirst)),
      isTraining: true,
      parameters: ["weight": parameter([features], .constant(1)), "bias": parameter([features], .constant(0))])
  }

  /// Queries, keys and values of the same size: their projections by `xavier_uniform_`, the biases 0.
  func multiheadAttention(_ size: Int, heads: Int, isBatchFirst: Bool = false) -> Module {
    if size % heads != 0 { refuse("attention of \(size) features cannot have \(heads) heads") }
    // The output's projection is drawn first; its bias becomes 0 afterwards.
    let output = linear(size, size, ClassName("torch.nn.modules.linear", "NonDynamicallyQuantizableLinear"))
    set(output.parameters["bias"], to: .constant(0))
    let bound = 3.0.squareRoot() * (2 / Double(4 * size)).squareRoot()
    return Module(
      ClassName("torch.nn.modules.activation", "MultiheadAttention"),
      layer: .multiheadAttention(
        MultiheadAttention(embeddingSize: size, heads: heads, isBatchFirst: isBatchFirst)), isTraining: true,
      parameters: [
        "in_proj_weight": parameter([3 * size, size], .uniform(bound: bound)),
        "in_proj_bias": parameter([3 * size], .constant(0)),
      ], children: ["out_proj": output])
  }

  func activation(
    _ kind: Activation.Kind, inplace: Bool = false, attributes: OrderedDictionary<String, Attribute> = [:]
  ) -> Module {
    module(
      ClassName("torch.nn.modules.activation", kind.rawValue), attributes: attributes,
      layer: .activation(Activation(kind, isInPlace: inplace)))
  }

  func relu() -> Module { activation(.relu, inplace: true) }

  func maxPool2d(_ kernel: Int, stride: Int? = nil, padding: Int = 0, ceilMode: Bool = false) -> Module {
    pool("MaxPool2d", .max, kernel, stride, padding, ceilMode)
  }

  func avgPool2d(_ kernel: Int, stride: Int? = nil, padding: Int = 0, ceilMode: Bool = false) -> Module {
    pool("AvgPool2d", .average, kernel, stride, padding, ceilMode)
  }

  private func pool(
    _ name: String, _ kind: Pool.Kind, _ kernel: Int, _ stride: Int?, _ padding: Int, _ ceilMode: Bool
  ) -> Module {
    let stride = stride ?? kernel
    if kernel < 1 || stride < 1 || padding < 0 || padding > kernel / 2 {
      refuse("there is no \(name) with kernel \(kernel), stride \(stride) and padding \(padding)")
    }
    return module(
      ClassName("torch.nn.modules.pooling", name),
      layer: .pool(
        Pool(
          kind, kernelSize: [kernel, kernel], stride: [stride, stride], padding: [padding, padding], ceilMode: ceilMode)
      ))
  }

  func adaptiveAvgPool2d(_ size: Int) -> Module {
    module(
      ClassName("torch.nn.modules.pooling", "AdaptiveAvgPool2d"),
      layer: .adaptivePool(AdaptivePool(.average, outputSize: [size, size])))
  }

  func dropout(_ p: Double, inplace: Bool = false) -> Module {
    module(
      ClassName("torch.nn.modules.dropout", "Dropout"), attributes: ["p": .double(p), "inplace": .bool(inplace)],
      layer: .dropout)
  }

  func identity() -> Module { module(ClassName("torch.nn.modules.linear", "Identity"), layer: .identity) }

  func flatten() -> Module { module(ClassName("torch.nn.modules.flatten", "Flatten"), layer: .flatten(Flatten())) }

  func upsample(_ target: Upsample.Target, mode: String) -> Module {
    module(ClassName("torch.nn.modules.upsampling", "Upsample"), layer: .upsample(Upsample(target, mode: mode)))
  }

  /// - Parameter amounts: left, right, top, bottom.
  func zeroPad2d(_ amounts: [Int]) -> Module {
    module(ClassName("torch.nn.modules.padding", "ZeroPad2d"), layer: .pad(Padding(amounts)))
  }
}

/// `_calculate_fan_in_and_fan_out` of a weight, and the bounds made of it, in double as in Python.
struct Fans {
  let input: Int
  let output: Int

  /// - Parameter shape: [out, in, kernel…]; its product does not overflow.
  init(_ shape: [Int]) {
    let field = shape.dropFirst(2).reduce(1, &*)
    (input, output) = (shape[1] &* field, shape[0] &* field)
  }

  /// Of `kaiming_uniform_` with the gain of `leaky_relu`.
  func kaimingBound(a: Double = 0) -> Double {
    3.0.squareRoot() * ((2 / (1 + a * a)).squareRoot() / Double(input).squareRoot())
  }

  /// Of `kaiming_normal_` with the gain of `relu`.
  static func kaimingDeviation(_ fan: Int) -> Double { 2.0.squareRoot() / Double(fan).squareRoot() }
}
