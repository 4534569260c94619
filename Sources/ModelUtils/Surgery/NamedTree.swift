import ModelCore

/// Tensors by the parts of their names.
struct NamedTree {
  var tensors: OrderedDictionary<String, Tensor> = [:]
  var children: OrderedDictionary<String, NamedTree> = [:]

  mutating func insert(_ tensor: Tensor, at parts: ArraySlice<String>) {
    guard let first = parts.first else { return }
    if parts.count == 1 {
      tensors[first] = tensor
    } else {
      children[first, default: NamedTree()].insert(tensor, at: parts.dropFirst())
    }
  }

  /// The module that the tensors are of.
  /// - Parameter identityFeatures: the channels of a batch norm that is a branch by itself; with it go the groups.
  func module(_ className: ClassName, eps: Double, identityFeatures: Int?) throws -> Module {
    if let variance = tensors["running_var"] { return try batchNorm(variance.count, eps: eps) }
    if let weight = tensors["weight"] { return try convolution(weight, inputs: identityFeatures) }
    // A list of branches holds no layers itself.
    let isList = !children.isEmpty && children.values.allSatisfy { $0.tensors.isEmpty }
    var module = Module(className, layer: isList ? .container : .opaque)
    for (name, tensor) in tensors { module.parameters[name] = Parameter(tensor) }
    let isMixer = className.name == "RepMixer"
    for (name, child) in ordered {
      let childClass =
        isMixer && name != "layer_scale"
        ? ClassName(className.module, "MobileOneBlock") : ClassName("torch.nn.modules.container", "Sequential")
      module.children[name] = try child.module(childClass, eps: eps, identityFeatures: identityFeatures)
    }
    return module
  }

  /// The children in the order in which they run, which that of the names need not be: by number, and a convolution
  /// before its batch norm.
  private var ordered: [(key: String, value: NamedTree)] {
    func rank(_ child: (key: String, value: NamedTree)) -> (Int, Int, String) {
      (Int(child.key) ?? .max, child.value.tensors["running_var"] == nil ? 0 : 1, child.key)
    }
    return children.map { (key: $0.key, value: $0.value) }.sorted { rank($0) < rank($1) }
  }

  private func batchNorm(_ features: Int, eps: Double) throws -> Module {
    let affine = ["weight", "bias"].compactMap { tensors[$0] }
    guard let mean = tensors["running_mean"], let variance = tensors["running_var"],
      ([mean, variance] + affine).allSatisfy({ $0.shape == [features] }), affine.count != 1
    else { throw ModelError(.mismatch, "the tensors of a batch norm do not fit together") }
    var module = Module(
      ClassName("torch.nn.modules.batchnorm", "BatchNorm2d"),
      layer: .batchNorm(
        BatchNorm(
          rank: 2, features: features, eps: eps, momentum: nil, isAffine: !affine.isEmpty,
          tracksRunningStatistics: true)))
    module.buffers = ["running_mean": mean, "running_var": variance]
    for name in ["weight", "bias"] { if let tensor = tensors[name] { module.parameters[name] = Parameter(tensor) } }
    return module
  }

  private func convolution(_ weight: Tensor, inputs: Int?) throws -> Module {
    let shape = weight.shape
    guard shape.count == 4, shape[0] > 0, shape[1] > 0, shape[2] % 2 == 1, shape[3] % 2 == 1,
      weight.dtype.kernelFormat != nil, tensors["bias"].map({ $0.shape == [shape[0]] }) ?? true
    else { throw ModelError(.mismatch, "a weight of shape \(shape) is no branch's") }
    // Without an identity the groups make no difference.
    let inputs = inputs ?? shape[1]
    guard inputs % shape[1] == 0, shape[0] % (inputs / shape[1]) == 0 else {
      throw ModelError(.mismatch, "a weight of shape \(shape) does not take \(inputs) channels")
    }
    let layer = Convolution(
      isTransposed: false, inChannels: inputs, outChannels: shape[0], kernelSize: Array(shape[2...]), stride: [1, 1],
      padding: [shape[2] / 2, shape[3] / 2], dilation: [1, 1], groups: inputs / shape[1])
    var module = Module(ClassName("torch.nn.modules.conv", "Conv2d"), layer: .convolution(layer))
    for name in ["weight", "bias"] { if let tensor = tensors[name] { module.parameters[name] = Parameter(tensor) } }
    return module
  }
}
