import ModelCore
import ModelGraph

/// Modules as a pickle would hold them, all weights 0.
enum Make {
  static func module(
    _ path: String, attributes: OrderedDictionary<String, Attribute> = [:],
    _ children: OrderedDictionary<String, Module> = [:]
  ) -> Module {
    Module(className(path), children: children, attributes: attributes)
  }

  static func layer(_ path: String, _ layer: Layer, _ children: OrderedDictionary<String, Module> = [:]) -> Module {
    Module(className(path), layer: layer, children: children)
  }

  private static func className(_ path: String) -> ClassName {
    let names = path.split(separator: ".")
    return ClassName(names.dropLast().joined(separator: "."), String(names[names.count - 1]))
  }

  static func zeros(_ shape: [Int]) -> Tensor {
    guard let tensor = try? Tensor(.float32, shape) else { fatalError("\(shape) is no shape") }
    return tensor
  }

  static func conv(
    _ inputs: Int, _ outputs: Int, _ kernel: Int = 1, stride: Int = 1, padding: Int = 0, groups: Int = 1
  ) -> Module {
    var conv = layer(
      "torch.nn.modules.conv.Conv2d",
      .convolution(
        Convolution(
          inChannels: inputs, outChannels: outputs, kernelSize: [kernel, kernel], stride: [stride, stride],
          padding: [padding, padding], groups: groups)))
    conv.parameters["weight"] = Parameter(zeros([outputs, inputs / groups, kernel, kernel]))
    return conv
  }

  static func norm(_ channels: Int) -> Module {
    var norm = layer("torch.nn.modules.batchnorm.BatchNorm2d", .batchNorm(BatchNorm(rank: 2, features: channels)))
    for name in ["weight", "bias"] { norm.parameters[name] = Parameter(zeros([channels])) }
    for name in ["running_mean", "running_var"] { norm.buffers[name] = zeros([channels]) }
    return norm
  }

  static func linear(_ inputs: Int, _ outputs: Int) -> Module {
    var linear = layer("torch.nn.modules.linear.Linear", .linear(Linear(inFeatures: inputs, outFeatures: outputs)))
    linear.parameters["weight"] = Parameter(zeros([outputs, inputs]))
    return linear
  }

  static func activation(_ kind: Activation.Kind = .relu) -> Module {
    layer("torch.nn.modules.activation.\(kind.rawValue)", .activation(Activation(kind)))
  }

  static func averagePool(_ size: Int = 1) -> Module {
    layer(
      "torch.nn.modules.pooling.AdaptiveAvgPool2d",
      .adaptivePool(AdaptivePool(.average, outputSize: [size, size])))
  }

  static func sequential(_ children: Module...) -> Module {
    layer(
      "torch.nn.modules.container.Sequential", .sequential,
      OrderedDictionary(uniqueKeysWithValues: children.enumerated().map { ("\($0)", $1) }))
  }
}

extension Graph {
  /// The shape of each output for one input.
  func outputShapes(of input: [Int]) throws -> [[Int]] {
    let shapes = try shapes(of: [input])
    return outputs.map { shapes[$0.index] }
  }

  /// What is computed outside of layers, in order.
  var functions: [Operation] { nodes.filter { scopes[$0.scope].layer == nil }.map(\.operation) }
}
