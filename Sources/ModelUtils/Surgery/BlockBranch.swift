import ModelCore

/// A convolution and the batch norm behind it, either alone, an average pool, or the input as it is.
struct BlockBranch {
  var conv: Module?
  var bn: Module?
  var pool: Pool?
  /// What its output is multiplied by.
  var factor: Factor?

  /// A sign, and a number for each channel or none.
  struct Factor {
    var sign: Float
    var channels: [Float]?
  }

  /// The branch as a kernel [out, in/groups, height, width] in row-major order, its size, and a bias [out].
  /// - Parameter shape: of the convolution that it becomes a part of.
  /// - Throws: `ModelError` where it cannot be one.
  func kernel(in shape: Convolution) throws -> (values: [Float], size: [Int], bias: [Float]) {
    var (values, size, bias) = try unscaled(in: shape)
    guard let factor else { return (values, size, bias) }
    let factors = factor.channels ?? [Float](repeating: 1, count: bias.count)
    guard factors.count == bias.count else { throw ModelError(.mismatch, "its layer scale does not fit its channels") }
    let perChannel = values.count / max(bias.count, 1)
    for channel in bias.indices {
      bias[channel] *= factor.sign * factors[channel]
      for place in channel * perChannel..<(channel + 1) * perChannel {
        values[place] *= factor.sign * factors[channel]
      }
    }
    return (values, size, bias)
  }

  private func unscaled(in shape: Convolution) throws -> ([Float], [Int], [Float]) {
    guard let conv else {
      guard shape.inChannels == shape.outChannels, shape.stride.allSatisfy({ $0 == 1 }) else {
        throw ModelError(.unsupported, "an identity branch cannot change channels or size")
      }
      return try alone(in: shape)
    }
    guard case .convolution(let own) = conv.layer, own.rank == 2, !own.isTransposed, own.stride == shape.stride,
      own.groups == shape.groups, own.dilation == shape.dilation, own.inChannels == shape.inChannels,
      own.outChannels == shape.outChannels, own.paddingMode == "zeros", let padding = own.padding,
      let weight = conv.parameters["weight"]?.tensor, weight.shape == own.weightShape
    else { throw ModelError(.unsupported, "its branches differ in stride, groups, dilation or channels") }
    guard Self.fits(own.kernelSize, padding, shape) else {
      throw ModelError(.unsupported, "the paddings of its branches do not fit together")
    }
    return try Self.normalized(weight, conv.parameters["bias"]?.tensor, bn, own.kernelSize)
  }

  /// A branch without a convolution: each channel by itself, or its average.
  private func alone(in shape: Convolution) throws -> ([Float], [Int], [Float]) {
    let size = pool?.kernelSize ?? [1, 1]
    if let pool {
      guard pool.stride.allSatisfy({ $0 == 1 }), !pool.ceilMode, pool.countsPadding || pool.padding == [0, 0] else {
        throw ModelError(.unsupported, "its average pool is no convolution")
      }
    }
    guard Self.fits(size, pool?.padding ?? [0, 0], shape) else {
      throw ModelError(.unsupported, "the paddings of its branches do not fit together")
    }
    let area = size[0] * size[1]
    let perGroup = shape.inChannels / max(shape.groups, 1)
    var kernel = [Float](repeating: 0, count: shape.outChannels * perGroup * area)
    for channel in 0..<shape.outChannels {
      let start = (channel * perGroup + channel % perGroup) * area
      for place in start..<start + area { kernel[place] = 1 / Float(pool?.divisor ?? area) }
    }
    return try Self.normalized(Tensor(kernel, [shape.outChannels, perGroup] + size), nil, bn, size)
  }

  /// Whether a smaller kernel, centred in the larger one, sees what it saw alone.
  private static func fits(_ size: [Int], _ padding: [Int], _ shape: Convolution) -> Bool {
    guard shape.rank == 2, let outer = shape.padding, outer.count == 2, padding.count == 2 else { return false }
    return (0..<2).allSatisfy { axis in
      let margin = shape.kernelSize[axis] - size[axis]
      return margin >= 0 && margin % 2 == 0 && (margin == 0 || shape.dilation[axis] == 1)
        && outer[axis] - margin / 2 == padding[axis]
    }
  }

  /// A kernel and a bias with a batch norm behind them.
  static func normalized(
    _ weight: Tensor, _ bias: Tensor?, _ bn: Module?, _ size: [Int]
  ) throws -> ([Float], [Int], [Float]) {
    let weight = try weight.converted(to: .float32)
    guard let bn else {
      return (try weight.floats(), size, try bias?.floats() ?? [Float](repeating: 0, count: weight.shape[0]))
    }
    guard case .batchNorm(let norm) = bn.layer, let mean = bn.buffers["running_mean"],
      let variance = bn.buffers["running_var"], !norm.isAffine || bn.parameters["weight"] != nil
    else { throw ModelError(.unsupported, "a batch norm has no running statistics") }
    let fused = try fuseConvAndBN(
      weight: weight, bias: bias?.converted(to: .float32),
      normalization: BatchNormTensors(
        weight: norm.isAffine ? bn.parameters["weight"]?.tensor : nil,
        bias: norm.isAffine ? bn.parameters["bias"]?.tensor : nil, runningMean: mean, runningVar: variance,
        eps: norm.eps))
    return (try fused.weight.floats(), size, try fused.bias.floats())
  }

  /// Adds kernels of one size to the centre of larger ones.
  static func add(_ kernel: [Float], _ size: [Int], to sum: inout [Float], _ target: [Int]) {
    let (small, large) = (size[0] * size[1], target[0] * target[1])
    guard small > 0, large > 0 else { return }
    let corner = (target[0] - size[0]) / 2 * target[1] + (target[1] - size[1]) / 2
    for slice in 0..<kernel.count / small {
      for row in 0..<size[0] {
        for column in 0..<size[1] {
          sum[slice * large + corner + row * target[1] + column] += kernel[slice * small + row * size[1] + column]
        }
      }
    }
  }
}
