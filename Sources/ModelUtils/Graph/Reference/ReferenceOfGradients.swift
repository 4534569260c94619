import ModelCore

/// Gradients, plainly: what each element of an operand adds to the result's elements, times their gradients.
extension Reference {
  static func gradient(_ gradient: Gradient, _ operands: [ReferenceArray], _ types: [TensorType]) throws -> [[Double]] {
    switch gradient {
    case .convolutionInput(let geometry, let shape):
      return [convolutionGradients(geometry, shape, operands[0].shape, nil, operands[0].values, operands[1]).input]
    case .convolutionWeight(let geometry, let shape):
      return [
        convolutionGradients(geometry, operands[0].shape, shape, operands[0].values, nil, operands[1]).weight
      ]
    case .unary(let function):
      return [zip(operands[0].values, operands[1].values).map { $1 * function.derivative($0) }]
    case .prelu: return preluGradients(operands)
    case .batchNorm: return batchNormGradients(operands)
    case .layerNorm(let axes, let eps, _):
      let size = Shape.count(operands[0].shape.suffix(axes))
      return normGradients(operands, size: size, eps: eps, isCentered: true, weights: size) { $0 % size }
    case .rmsNorm(let axes, let eps, _):
      let size = Shape.count(operands[0].shape.suffix(axes))
      let results = normGradients(
        operands, size: size, eps: eps ?? operands[0].type.dtype.epsilon, isCentered: false, weights: size
      ) { $0 % size }
      return Array(results.prefix(types.count))
    case .groupNorm(let groups, let eps, _):
      let view = AxisView(operands[0].shape, axis: 1)
      return normGradients(
        operands, size: view.length / groups * view.inner, eps: eps, isCentered: true, weights: view.length
      ) { $0 / view.inner % view.length }
    case .pool(let pool):
      let rank = pool.kernelSize.count
      let windows = Windows(
        pool, input: operands[0].shape.suffix(rank), output: operands[2].shape.suffix(rank))
      return [
        windowGradients(windows, operands) { position, places in
          switch pool.kind {
          case .max: nil
          case .average:
            Double(pool.divisor ?? (pool.countsPadding ? windows.paddedCount(position) : places.count))
          }
        }
      ]
    case .adaptivePool(let pool):
      let rank = pool.outputSize.count
      let windows = Windows(sharing: operands[0].shape.suffix(rank), among: operands[2].shape.suffix(rank))
      return [
        windowGradients(windows, operands) { _, places in
          switch pool.kind {
          case .max: nil
          case .average: Double(places.count)
          }
        }
      ]
    case .resize(let resize, let shape): return [resizeGradient(resize, shape, operands[0])]
    case .pad(let margins, let mode, let shape): return [padGradient(margins, mode, shape, operands[0])]
    }
  }

  /// Of the one of input and weight that is not given.
  private static func convolutionGradients(
    _ geometry: ConvolutionGeometry, _ inputShape: [Int], _ weightShape: [Int], _ input: [Double]?,
    _ weight: [Double]?, _ gradient: ReferenceArray
  ) -> (input: [Double], weight: [Double]) {
    let groups = geometry.groups
    let (inputs, outputs) = (inputShape[1] / groups, gradient.shape[1] / groups)
    let kernel = Array(weightShape.dropFirst(2))
    let positions = Shape.count(kernel)
    let windows = Windows(
      geometry, input: Array(inputShape.dropFirst(2)), kernel: kernel, output: gradient.shape.dropFirst(2))
    let planeSize = Shape.count(inputShape.dropFirst(2))
    var inputGradient = [Double](repeating: 0, count: input == nil ? Shape.count(inputShape) : 0)
    var weightGradient = [Double](repeating: 0, count: weight == nil ? Shape.count(weightShape) : 0)
    for position in 0..<windows.count {
      let places = windows.places(position)
      for plane in 0..<inputShape[0] * groups {
        let group = plane % groups
        for output in 0..<outputs {
          let value = gradient.values[(plane * outputs + output) * windows.count + position]
          if value == 0 { continue }
          for channel in 0..<inputs {
            let start = (plane * inputs + channel) * planeSize
            let row =
              geometry.isTransposed
              ? ((group * inputs + channel) * outputs + output) * positions
              : ((group * outputs + output) * inputs + channel) * positions
            for (element, place) in places.enumerated() where place >= 0 {
              if let weight {
                inputGradient[start + place] += value * weight[row + element]
              } else if let input {
                weightGradient[row + element] += value * input[start + place]
              }
            }
          }
        }
      }
    }
    return (inputGradient, weightGradient)
  }

  private static func preluGradients(_ operands: [ReferenceArray]) -> [[Double]] {
    let slopes = operands[1].values
    let inner = slopes.count > 1 ? AxisView(operands[0].shape, axis: 1).inner : 1
    var slopeGradient = slopes.map { _ in 0.0 }
    let inputGradient = operands[0].values.indices.map { index -> Double in
      let (value, gradient) = (operands[0].values[index], operands[2].values[index])
      if value > 0 { return gradient }
      let channel = index / inner % slopes.count
      slopeGradient[channel] += value * gradient
      return slopes[channel] * gradient
    }
    return [inputGradient, slopeGradient]
  }

  private static func batchNormGradients(_ operands: [ReferenceArray]) -> [[Double]] {
    let (input, weight, mean, inverse) = (operands[0], operands[1].values, operands[2].values, operands[3].values)
    let gradient = operands[4].values
    let view = AxisView(input.shape, axis: 1)
    let count = Double(view.outer * view.inner)
    var sums = [Double](repeating: 0, count: view.length)
    var products = sums
    for index in gradient.indices {
      let channel = index / view.inner % view.length
      sums[channel] += gradient[index]
      products[channel] += gradient[index] * (input.values[index] - mean[channel]) * inverse[channel]
    }
    let inputGradient = gradient.indices.map { index -> Double in
      let channel = index / view.inner % view.length
      let normalised = (input.values[index] - mean[channel]) * inverse[channel]
      return weight[channel] * inverse[channel]
        * (gradient[index] - sums[channel] / count - normalised * products[channel] / count)
    }
    return [inputGradient, products, sums]
  }

  /// Of runs of `size` elements that are normalised by themselves.
  private static func normGradients(
    _ operands: [ReferenceArray], size: Int, eps: Double, isCentered: Bool, weights: Int, by place: (Int) -> Int
  ) -> [[Double]] {
    let values = operands[0].values
    let weight = operands.count > 2 ? operands[1].values : nil
    let gradient = operands[operands.count - 1].values
    var inputGradient = values
    var weightGradient = [Double](repeating: 0, count: weight == nil ? 0 : weights)
    var biasGradient = weightGradient
    for start in stride(from: 0, to: values.count, by: max(size, 1)) {
      let row = start..<start + size
      let count = Double(size)
      let mean = isCentered ? values[row].reduce(0, +) / count : 0
      let inverse = 1 / (values[row].reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count + eps).squareRoot()
      var (sum, product) = (0.0, 0.0)
      for index in row {
        let normalised = (values[index] - mean) * inverse
        let scaled = gradient[index] * (weight?[place(index)] ?? 1)
        sum += scaled
        product += scaled * normalised
        if weight != nil {
          weightGradient[place(index)] += gradient[index] * normalised
          biasGradient[place(index)] += gradient[index]
        }
      }
      for index in row {
        let normalised = (values[index] - mean) * inverse
        let scaled = gradient[index] * (weight?[place(index)] ?? 1)
        inputGradient[index] = inverse * (scaled - (isCentered ? sum / count : 0) - normalised * product / count)
      }
    }
    return weight == nil ? [inputGradient] : [inputGradient, weightGradient, biasGradient]
  }

  /// - Parameter divisor: of a mean; nil where the first of the largest has all.
  private static func windowGradients(
    _ windows: Windows, _ operands: [ReferenceArray], divisor: (_ position: Int, _ places: [Int]) -> Double?
  ) -> [Double] {
    let (input, gradient) = (operands[0].values, operands[2].values)
    var result = [Double](repeating: 0, count: input.count)
    guard windows.planeSize > 0 else { return result }
    for position in 0..<windows.count {
      let places = windows.places(position).filter { $0 >= 0 }
      let divisor = divisor(position, places)
      for plane in 0..<input.count / windows.planeSize {
        let start = plane * windows.planeSize
        let value = gradient[plane * windows.count + position]
        if let divisor {
          for place in places { result[start + place] += value / divisor }
        } else {
          var largest: Int?
          for place in places {
            guard let best = largest else {
              largest = place
              continue
            }
            let (a, b) = (input[start + place], input[start + best])
            if a > b || (a.isNaN && !b.isNaN) { largest = place }
          }
          if let largest { result[start + largest] += value }
        }
      }
    }
    return result
  }

  private static func resizeGradient(_ resize: Resize, _ inputShape: [Int], _ gradient: ReferenceArray) -> [Double] {
    var (shape, values) = (gradient.shape, gradient.values)
    for axis in shape.indices.dropFirst(2).reversed() {
      let taps = resize.taps(axis: axis, size: inputShape[axis], newSize: shape[axis])
      values = AxisView(shape, axis: axis).gathering(taps, of: values, length: inputShape[axis])
      shape[axis] = inputShape[axis]
    }
    return values
  }

  private static func padGradient(
    _ margins: [Margin], _ mode: PadMode, _ inputShape: [Int], _ gradient: ReferenceArray
  ) -> [Double] {
    var (shape, values) = (gradient.shape, gradient.values)
    for (axis, margin) in margins.enumerated().reversed() where margin != Margin(0) {
      let taps = padSources(margin, mode, size: inputShape[axis]).map { source in
        source < 0 ? [] : [Tap(index: source, weight: 1)]
      }
      values = AxisView(shape, axis: axis).gathering(taps, of: values, length: inputShape[axis])
      shape[axis] = inputShape[axis]
    }
    return values
  }
}

extension AxisView {
  /// What taps spread, brought together: an axis of another length, each of whose elements is the sum of those that
  /// were made of it.
  fileprivate func gathering(_ taps: [[Tap]], of values: [Double], length: Int) -> [Double] {
    let target = AxisView([outer, length, inner], axis: 1)
    var result = [Double](repeating: 0, count: outer * length * inner)
    for outer in 0..<outer {
      for (index, taps) in taps.enumerated() {
        for tap in taps {
          for inner in 0..<inner {
            result[target.place(outer, tap.index, inner)] += tap.weight * values[place(outer, index, inner)]
          }
        }
      }
    }
    return result
  }
}
