extension Layer {
  /// The shape that the layer makes of an input's shape.
  /// - Throws: `ModelError` for an input that it cannot take, and for containers and unknown classes, which have no
  ///   forward.
  public func outputShape(of input: [Int]) throws -> [Int] {
    switch self {
    case .convolution(let convolution): try convolution.outputShape(of: input)
    case .batchNorm(let norm): try Self.features(norm.features, axis: 1, of: input)
    case .linear(let linear):
      try Self.features(linear.inFeatures, axis: -1, of: input).dropLast() + [linear.outFeatures]
    case .layerNorm(let norm):
      norm.isChannelsFirst
        ? try Self.features(norm.normalizedShape.first ?? 0, axis: 1, of: input)
        : try norm.outputShape(of: input)
    case .groupNorm(let norm): try Self.features(norm.channels, axis: 1, of: input)
    case .activation, .dropout, .identity: input
    case .softmax(let softmax): try softmax.outputShape(of: input)
    case .multiheadAttention(let attention): try Self.features(attention.embeddingSize, axis: -1, of: input)
    case .pool(let pool): try pool.outputShape(of: input)
    case .adaptivePool(let pool): try pool.outputShape(of: input)
    case .upsample(let upsample): try upsample.outputShape(of: input)
    case .pad(let padding): try padding.outputShape(of: input)
    case .flatten(let flatten): try flatten.outputShape(of: input)
    case .pixelShuffle(let shuffle): try shuffle.outputShape(of: input)
    case .sequential, .container, .opaque: throw ModelError("its forward is not known")
    }
  }

  private static func features(_ features: Int, axis: Int, of input: [Int]) throws -> [Int] {
    let axis = try Shape.axis(axis, input.count)
    guard input[axis] == features else {
      throw ModelError("takes \(features) channels, but \(input[axis]) come to it")
    }
    return input
  }
}

extension Convolution {
  /// [batch, channels, spatial…] to the same.
  func outputShape(of input: [Int]) throws -> [Int] {
    guard input.count == rank + 2 else { throw ModelError("takes \(rank + 2) axes, but \(input) comes to it") }
    guard input[1] == inChannels else {
      throw ModelError("takes \(inChannels) channels, but \(input[1]) come to it")
    }
    guard stride.count == rank, dilation.count == rank, padding.map({ $0.count == rank }) ?? true,
      outputPadding.count == rank
    else { throw ModelError("its configuration is no valid one") }
    var output = [input[0], outChannels]
    for axis in 0..<rank {
      let (size, padding) = (input[axis + 2], padding?[axis] ?? 0)
      if self.padding == nil {
        output.append(size)
      } else if isTransposed {
        let numbers = [kernelSize[axis], stride[axis], dilation[axis], padding, outputPadding[axis]]
        guard size > 0, numbers.allSatisfy({ (0...Shape.limit >> 8).contains($0) }) else {
          throw ModelError("its configuration is no valid one")
        }
        let length =
          (size - 1) * stride[axis] - 2 * padding + dilation[axis] * (kernelSize[axis] - 1) + outputPadding[axis] + 1
        guard length > 0 else { throw ModelError("its output would be empty") }
        output.append(length)
      } else {
        output.append(
          try Shape.windows(
            size, kernel: kernelSize[axis], stride: stride[axis], padding: (padding, padding), dilation: dilation[axis])
        )
      }
    }
    return output
  }
}

extension LayerNorm {
  func outputShape(of input: [Int]) throws -> [Int] {
    guard input.suffix(normalizedShape.count) == normalizedShape[...] else {
      throw ModelError("normalises \(normalizedShape), but \(input) comes to it")
    }
    return input
  }
}

extension Softmax {
  func outputShape(of input: [Int]) throws -> [Int] {
    if let axis, !input.isEmpty { _ = try Shape.axis(axis, input.count) }
    return input
  }
}

extension Pool {
  /// [batch, channels, spatial…], or without the batch, to the same.
  func outputShape(of input: [Int]) throws -> [Int] {
    let rank = kernelSize.count
    guard input.count == rank + 2 || input.count == rank + 1 else {
      throw ModelError("takes \(rank + 2) axes, but \(input) comes to it")
    }
    guard stride.count == rank, padding.count == rank, dilation.count == rank else {
      throw ModelError("its configuration is no valid one")
    }
    var output = input
    for (axis, index) in ((input.count - rank)...).prefix(rank).enumerated() {
      output[index] = try Shape.windows(
        input[index], kernel: kernelSize[axis], stride: stride[axis], padding: (padding[axis], padding[axis]),
        dilation: dilation[axis], ceilMode: ceilMode)
    }
    return output
  }
}

extension AdaptivePool {
  func outputShape(of input: [Int]) throws -> [Int] {
    let rank = outputSize.count
    guard input.count == rank + 2 || input.count == rank + 1 else {
      throw ModelError("takes \(rank + 2) axes, but \(input) comes to it")
    }
    return input.dropLast(rank) + zip(outputSize, input.suffix(rank)).map { $0 ?? $1 }
  }
}

extension Upsample {
  func outputShape(of input: [Int]) throws -> [Int] {
    guard input.count >= 3 else { throw ModelError("takes 3 axes or more, but \(input) comes to it") }
    let sizes = input.dropFirst(2)
    func spread<T>(_ values: [T]) throws -> [T] {
      if values.count == 1 { return [T](repeating: values[0], count: sizes.count) }
      guard values.count == sizes.count else { throw ModelError("its configuration is no valid one") }
      return values
    }
    switch target {
    case .size(let target): return try input.prefix(2) + spread(target)
    case .scale(let factors):
      return try input.prefix(2)
        + zip(sizes, spread(factors)).map { size, factor in
          let length = (Double(size) * factor).rounded(.down)
          guard length >= 1, length <= Double(Shape.limit) else {
            throw ModelError("cannot scale \(size) by \(factor)")
          }
          return Int(length)
        }
    }
  }
}

extension Padding {
  func outputShape(of input: [Int]) throws -> [Int] {
    guard amounts.count % 2 == 0, amounts.count / 2 <= input.count,
      amounts.allSatisfy({ (-Shape.limit...Shape.limit).contains($0) })
    else { throw ModelError("its configuration is no valid one") }
    var output = input
    for pair in 0..<amounts.count / 2 { output[input.count - 1 - pair] += amounts[2 * pair] + amounts[2 * pair + 1] }
    return output
  }
}

extension Flatten {
  func outputShape(of input: [Int]) throws -> [Int] {
    guard !input.isEmpty else { return [1] }
    let (start, end) = (try Shape.axis(start, input.count), try Shape.axis(end, input.count))
    guard start <= end else { throw ModelError("its configuration is no valid one") }
    return input[..<start] + [Shape.count(input[start...end])] + input[(end + 1)...]
  }
}

extension PixelShuffle {
  func outputShape(of input: [Int]) throws -> [Int] {
    guard input.count >= 3, (1...1024).contains(factor) else { throw ModelError("cannot shuffle \(input)") }
    let (channels, height, width) = (input[input.count - 3], input[input.count - 2], input[input.count - 1])
    if isInverse {
      guard height % factor == 0, width % factor == 0 else { throw ModelError("cannot divide \(input) by \(factor)") }
      return input.dropLast(3) + [channels * factor * factor, height / factor, width / factor]
    }
    guard channels % (factor * factor) == 0 else { throw ModelError("cannot divide \(input) by \(factor)") }
    return input.dropLast(3) + [channels / (factor * factor), height * factor, width * factor]
  }
}
