import ModelCore
import ModelRandom

extension Module {
  /// Makes an Ultralytics detector tell other classes apart: the last convolution of each branch of scores is drawn anew,
  /// with the bias that makes every class rare. Nothing changes where it has as many already.
  /// - Throws: `ModelError` where there is no such head.
  public mutating func replaceDetectionClasses(_ classes: Int, using generator: inout TorchGenerator) throws {
    var isFound = false
    try updateModules { path, head in
      guard head.className.hasSuffix("nn.modules.head.Detect"), let scores = head.children["cv3"],
        let strides = head.attributes["stride"]?.doublesValue, strides.count == scores.children.count
      else { return }
      isFound = true
      guard head.attributes["nc"] != .int(classes) else { return }
      let bins = head.attributes["reg_max"]?.intValue ?? 16
      (head.attributes["nc"], head.attributes["no"]) = (.int(classes), .int(classes + 4 * bins))
      for (level, stride) in strides.enumerated() {
        guard let last = scores.children.values[level].children.keys.last,
          let old = scores.children.values[level].children[last]
        else { throw ModelError(.unsupported, "has a branch of scores that is not known", subject: path) }
        let builder = ModuleBuilder()
        guard let layer = builder.layer(like: old, outputs: classes) else {
          throw ModelError(.unsupported, "has a branch of scores that ends in no convolution", subject: path)
        }
        var fresh = try builder.finish(layer, using: &generator)
        let cells = 640 / stride * (640 / stride)
        let rare = Float(CMath.log(5 / Double(classes) / cells))
        fresh.parameters["bias"]?.tensor = try Tensor([Float](repeating: rare, count: classes), [classes])
        head.children["cv3"]?.children.values[level].children[last] = fresh
      }
    }
    guard isFound else {
      throw ModelError(.unsupported, "has no head whose classes can be replaced", subject: className.description)
    }
  }
}

extension Module {
  /// A 1x1 convolution as PyTorch's constructor draws it: the weight, then the bias.
  package static func drawnConvolution(
    _ inputs: Int, _ outputs: Int, using generator: inout TorchGenerator
  ) throws -> Module {
    let builder = ModuleBuilder()
    return try builder.finish(builder.conv2d(inputs, outputs, 1), using: &generator)
  }
}
