import ModelCore
import ModelGraph

/// The operations of one node as each tool counts them. Doubles: exact up to 2^53, and never a trap.
struct OperationCount {
  /// As thop 0.1.1 counts, not doubled.
  var thop = 0.0
  /// As ultralytics-thop 2.2.3 counts, not doubled.
  var ultralytics = 0.0
  /// Multiplications of convolutions, linear layers and matrix products.
  var macs = 0.0
  /// One addition for each output of a convolution or linear layer with a bias.
  var biases = 0.0

  static func += (total: inout OperationCount, part: OperationCount) {
    total.thop += part.thop
    total.ultralytics += part.ultralytics
    total.macs += part.macs
    total.biases += part.biases
  }

  init() {}

  /// What one node multiplies.
  /// - Parameter addsBias: whether a bias is added, or one that takes the place of a batch norm.
  init(_ operation: Operation, operands: [[Int]], output: [Int], addsBias: Bool, isOfLayer: Bool) {
    macs = operation.products(operands, output)
    if addsBias { biases = Self.count(output) }
    // thop sees modules alone; ultralytics-thop products outside of them as well, but no convolutions.
    if case .convolution = operation { return }
    if !isOfLayer { ultralytics = macs }
  }

  /// What one call of a layer's module computes, as the tools count it that watch modules.
  init(_ layer: Layer, _ className: ClassName?, inputs: [[Int]], output: [Int]) {
    guard let input = inputs.first else { return }
    ultralytics = layer.ultralyticsOperations(inputs, output)
    // thop knows PyTorch's classes, and not what is derived from them.
    if className?.isTorchModule ?? false { thop = layer.thopOperations(input, output) }
  }

  static func count(_ shape: some Sequence<Int>) -> Double { shape.reduce(1) { $0 * Double($1) } }
}

private func count(_ shape: some Sequence<Int>) -> Double { OperationCount.count(shape) }

extension Layer {
  /// Multiplications of a convolution or product; a transposed convolution's are counted over its input.
  fileprivate func products(_ inputs: [[Int]], _ output: [Int]) -> Double {
    switch self {
    case .convolution(let convolution):
      // Whole numbers: products of quotients would round.
      let channels = convolution.isTransposed ? convolution.outChannels : convolution.inChannels
      let kernel = count(convolution.kernelSize) * Double(channels / max(convolution.groups, 1))
      return count(convolution.isTransposed ? inputs[0] : output) * kernel
    case .linear(let linear): return count(output) * Double(linear.inFeatures)
    case .multiheadAttention(let attention): return attention.products(inputs)
    default: return 0
    }
  }

  /// As thop counts a module of exactly PyTorch's class.
  fileprivate func thopOperations(_ input: [Int], _ output: [Int]) -> Double {
    switch self {
    case .convolution(let convolution):
      return count(output) * count(convolution.kernelSize)
        * Double(input.count > 1 ? input[1] / max(convolution.groups, 1) : 0)
    case .linear: return products([input], output)
    case .batchNorm(let norm): return count(input) * (norm.isAffine ? 4 : 2)
    case .layerNorm(let norm): return count(input) * (norm.isAffine ? 4 : 2)
    case .activation(let activation): return activation.kind == .prelu ? count(input) : 0
    case .softmax(let softmax): return softmax.kind == .softmax ? softmax.operations(input) : 0
    case .pool(let pool): return pool.kind == .average ? count(output) : 0
    case .adaptivePool(let pool):
      guard pool.kind == .average else { return 0 }
      let window = zip(input.dropFirst(2), output.dropFirst(2)).reduce(1.0) { $0 * (Double($1.0) / Double($1.1)) }
      return ((window + 1) * count(output)).rounded(.towardZero)
    case .upsample(let upsample): return upsample.operationsPerOutput(nearest: 1) * count(output)
    case .instanceNorm(let norm): return count(input) * (norm.isAffine ? 4 : 2)
    case .recurrent(let recurrent): return recurrent.operations(input, countsProjection: false)
    // The first axis for the batch, also where there is none.
    case .recurrentCell(let cell): return cell.operations * Double(input.first ?? 0)
    case .groupNorm, .multiheadAttention, .dropout, .pad, .flatten, .pixelShuffle, .rmsNorm, .localResponseNorm, .glu,
      .powerPool, .unflatten, .channelShuffle, .unfold, .embedding, .bilinear, .identity, .sequential, .container,
      .opaque:
      return 0
    }
  }

  /// As ultralytics-thop counts a module of PyTorch's class or one derived from it.
  fileprivate func ultralyticsOperations(_ inputs: [[Int]], _ output: [Int]) -> Double {
    let input = inputs[0]
    switch self {
    case .convolution, .linear: return products(inputs, output)
    // A frozen one is derived from Module alone.
    case .batchNorm(let norm): return norm.isFrozen ? 0 : count(input) * (norm.isAffine ? 4 : 2)
    case .layerNorm(let norm): return count(input) * (norm.isAffine ? 4 : 2)
    case .groupNorm(let norm): return count(input) * (norm.isAffine ? 4 : 2)
    case .activation(let activation): return activation.kind == .prelu ? count(input) : 0
    case .softmax(let softmax):
      let rows = softmax.rows(input)
      switch softmax.kind {
      case .softmax, .softmax2d: return softmax.operations(input)
      case .softmin: return softmax.operations(input) + count(input)
      case .logSoftmax: return softmax.operations(input) + rows
      }
    case .multiheadAttention(let attention): return attention.products(inputs) + attention.softmaxOperations(inputs)
    case .pool(let pool): return pool.kind == .average ? pool.coveredInputs(input, output) + count(output) : 0
    case .adaptivePool(let pool):
      guard pool.kind == .average else { return 0 }
      return zip(input, output).reduce(1) { $0 * AdaptivePool.coveredInputs($1.0, $1.1) } + count(output)
    case .upsample(let upsample): return upsample.operationsPerOutput(nearest: 0) * count(output)
    case .instanceNorm(let norm): return count(input) * (norm.isAffine ? 4 : 2)
    case .rmsNorm(let norm): return count(input) * (norm.isAffine ? 4 : 2)
    case .recurrent(let recurrent): return recurrent.operations(input, countsProjection: true)
    case .recurrentCell(let cell): return cell.operations * (input.count == 2 ? Double(input[0]) : 1)
    case .bilinear(let bilinear):
      return (Double(bilinear.firstFeatures) + 1) * Double(bilinear.secondFeatures) * count(output)
    case .dropout, .pad, .flatten, .pixelShuffle, .localResponseNorm, .glu, .powerPool, .unflatten, .channelShuffle,
      .unfold, .embedding, .identity, .sequential, .container, .opaque:
      return 0
    }
  }
}

extension Softmax {
  private func features(_ input: [Int]) -> Int {
    guard !input.isEmpty else { return 1 }
    // PyTorch's choice where no axis is given.
    let axis = axis ?? ([1, 3].contains(input.count) ? 0 : 1)
    let index = axis < 0 ? axis + input.count : axis
    return input.indices.contains(index) ? input[index] : 1
  }

  fileprivate func rows(_ input: [Int]) -> Double {
    let features = features(input)
    return features > 0 ? count(input) / Double(features) : 0
  }

  /// For each row as many exponentials and divisions as it has elements, and one addition less.
  fileprivate func operations(_ input: [Int]) -> Double { rows(input) * Double(max(3 * features(input) - 1, 0)) }
}

extension Upsample {
  fileprivate func operationsPerOutput(nearest: Double) -> Double {
    switch mode {
    case "nearest": nearest
    case "linear": 5
    case "bilinear": 11
    case "bicubic": 259
    case "trilinear": 31
    default: 0
    }
  }
}

extension Pool {
  /// The input elements of all windows; those of the padding too where they count in the average.
  fileprivate func coveredInputs(_ input: [Int], _ output: [Int]) -> Double {
    let rank = kernelSize.count
    var covered = count(input.dropLast(rank))
    for axis in 0..<rank {
      let (size, windows) = (input[input.count - rank + axis], output[output.count - rank + axis])
      let (lower, upper) = countsPadding ? (-padding[axis], size + padding[axis]) : (0, size)
      // Only windows at the ends differ from the others; no input is so long that they could not be walked.
      var elements = 0.0
      for window in 0..<min(windows, 1 << 20) {
        let start = window * stride[axis] - padding[axis]
        elements += Double(max(min(start + kernelSize[axis], upper) - max(start, lower), 0))
      }
      covered *= elements
    }
    return covered
  }
}

extension AdaptivePool {
  /// The input elements of all windows of one axis; output j spans floor(j · in / out) to ceil((j + 1) · in / out).
  fileprivate static func coveredInputs(_ input: Int, _ output: Int) -> Double {
    guard input != output else { return Double(output) }
    return (0..<min(output, 1 << 20)).reduce(0.0) { sum, index in
      sum + Double(((index + 1) * input + output - 1) / output - index * input / output)
    }
  }
}

extension MultiheadAttention {
  /// Target length, source length and batch.
  private func lengths(_ inputs: [[Int]]) -> (target: Double, source: Double, batch: Double)? {
    guard let query = inputs.first, query.count >= 2, let key = inputs.dropFirst().first ?? inputs.first,
      key.count == query.count
    else { return nil }
    let length = isBatchFirst || query.count == 2 ? query.count - 2 : 0
    let batch = query.count == 2 ? 1 : query[isBatchFirst ? 0 : 1]
    return (Double(query[length]), Double(key[length]), Double(batch))
  }

  /// The projections of queries, keys, values and outputs, and the two products of the attention.
  fileprivate func products(_ inputs: [[Int]]) -> Double {
    guard let (target, source, batch) = lengths(inputs) else { return 0 }
    let size = Double(embeddingSize)
    let projections = size * (2 * target * size + source * Double(keySize) + source * Double(valueSize))
    return batch * (projections + 2 * target * source * size)
  }

  fileprivate func softmaxOperations(_ inputs: [[Int]]) -> Double {
    guard let (target, source, batch) = lengths(inputs) else { return 0 }
    return batch * Double(heads) * target * max(3 * source - 1, 0)
  }
}
