import ModelCore

/// Convolutions, products and attention.
extension Reference {
  static func convolution(_ geometry: ConvolutionGeometry, _ operands: [ReferenceArray], _ type: TensorType) -> [Double]
  {
    let (input, weight) = (operands[0], operands[1])
    let (groups, inputs, outputs) = (geometry.groups, input.shape[1] / geometry.groups, type.shape[1] / geometry.groups)
    let kernel = Array(weight.shape.dropFirst(2))
    let windows = Windows(
      geometry, input: Array(input.shape.dropFirst(2)), kernel: kernel, output: type.shape.dropFirst(2))
    // [groups, outputs, inputs, kernel…] in both cases.
    var weights = weight.values
    if geometry.isTransposed {
      let positions = Shape.count(kernel)
      weights = weight.elements(
        at: places(
          of: [groups, outputs, inputs, positions],
          strides: [inputs * outputs * positions, positions, outputs * positions, 1]))
    }
    let planeSize = Shape.count(input.shape.dropFirst(2))
    let patchSize = inputs * Shape.count(kernel)
    var result = [Double](repeating: 0, count: Shape.count(type.shape))
    var patch = [Double](repeating: 0, count: patchSize)
    input.values.withUnsafeBufferPointer { input in
      weights.withUnsafeBufferPointer { weights in
        for position in 0..<windows.count {
          let places = windows.places(position)
          for plane in 0..<operands[0].shape[0] * groups {
            var next = 0
            for channel in 0..<inputs {
              let start = (plane * inputs + channel) * planeSize
              for place in places {
                patch[next] = place < 0 ? 0 : input[start + place]
                next += 1
              }
            }
            for output in 0..<outputs {
              let row = (plane % groups * outputs + output) * patchSize
              result[(plane * outputs + output) * windows.count + position] = patch.withUnsafeBufferPointer {
                dot($0, UnsafeBufferPointer(rebasing: weights[row..<row + patchSize]))
              }
            }
          }
        }
      }
    }
    if operands.count > 2 { addBias(operands[2].values, to: &result, inner: windows.count) }
    return result
  }

  /// Adds to [batch, channels, inner].
  private static func addBias(_ bias: [Double], to values: inout [Double], inner: Int) {
    for index in values.indices { values[index] += bias[index / inner % bias.count] }
  }

  static func linear(_ operands: [ReferenceArray]) -> [Double] {
    let shape = operands[1].shape
    var result = rows(
      operands[0].values, byRows: operands[1].values, features: shape[1], count: shape[0],
      rowCount: Shape.count(operands[0].shape.dropLast()))
    if operands.count > 2 { addBias(operands[2].values, to: &result, inner: 1) }
    return result
  }

  static func matrixProduct(_ operands: [ReferenceArray], _ type: TensorType) -> [Double] {
    let batch = Array(type.shape.dropLast(2))
    let (left, right) = (operands[0].shape.suffix(2), operands[1].shape.suffix(2))
    func matrices(_ array: ReferenceArray) -> [Int] {
      places(
        of: batch,
        strides: array.strides(broadcastTo: batch + array.shape.suffix(2)).dropLast(2))
    }
    let columns = [right[right.endIndex - 1], right[right.startIndex]]
    let count = Shape.count(type.shape)
    guard count > 0, columns[1] > 0 else { return [Double](repeating: 0, count: count) }
    var result: [Double] = []
    result.reserveCapacity(Shape.count(type.shape))
    for (first, second) in zip(matrices(operands[0]), matrices(operands[1])) {
      let turned = operands[1].elements(at: places(of: columns, strides: [1, columns[0]], from: second))
      result += rows(
        Array(operands[0].values[first..<first + Shape.count(left)]), byRows: turned, features: columns[1],
        count: columns[0], rowCount: left[left.startIndex])
    }
    return result
  }

  static func einsum(_ equation: String, _ operands: [ReferenceArray], _ type: TensorType) throws -> [Double] {
    let parsed = try Einsum(equation, operands.map(\.shape))
    let summed = parsed.summed
    guard Shape.count(try Shape.checked(summed.map { parsed.sizes[$0] ?? 0 })) <= 1 << 28 else {
      throw ModelError(.limit, "the equation \(equation) sums over too many elements")
    }
    let (kept, inner) = operands.indices.reduce(into: ([[Int]](), [[Int]]())) { result, operand in
      let strides = parsed.strides(of: operand)
      result.0.append(places(of: type.shape, strides: parsed.output.map { strides[$0] ?? 0 }))
      result.1.append(places(of: summed.map { parsed.sizes[$0] ?? 0 }, strides: summed.map { strides[$0] ?? 0 }))
    }
    return (0..<Shape.count(type.shape)).map { place in
      inner[0].indices.reduce(0) { sum, index in
        sum + operands.indices.reduce(1) { $0 * operands[$1].values[kept[$1][place] + inner[$1][index]] }
      }
    }
  }

  /// A row whose keys are all masked gives 0, as PyTorch's does.
  static func attention(scale: Double?, _ operands: [ReferenceArray]) -> [Double] {
    let (queries, keys, values) = (operands[0], operands[1], operands[2])
    let batch = queries.shape.dropLast(2)
    let (length, features) = (queries.shape[batch.count], queries.shape[batch.count + 1])
    let (keyCount, width) = (keys.shape[batch.count], values.shape[batch.count + 1])
    let scale = scale ?? 1 / Double(features).squareRoot()
    let mask = operands.count > 3 ? operands[3] : nil
    let masks = mask?.broadcast(to: batch + [length, keyCount])
    var result: [Double] = []
    for matrix in 0..<Shape.count(batch) {
      func part(_ array: ReferenceArray, _ size: Int) -> [Double] {
        Array(array.values[matrix * size..<(matrix + 1) * size])
      }
      var scores = rows(
        part(queries, length * features), byRows: part(keys, keyCount * features), features: features,
        count: keyCount, rowCount: length)
      for index in scores.indices {
        scores[index] *= scale
        guard let masks else { continue }
        let mask = masks[matrix * scores.count + index]
        scores[index] += operands[3].type.dtype == .bool ? (mask == 0 ? -.infinity : 0) : mask
      }
      let turned = part(values, keyCount * width)
      let columns = places(of: [width, keyCount], strides: [1, width]).map { turned[$0] }
      for row in 0..<length {
        let scores = Array(scores[row * keyCount..<(row + 1) * keyCount])
        let weights =
          scores.allSatisfy { $0 == -.infinity } ? scores.map { _ in 0 } : softmax(scores, isLogarithm: false)
        result += rows(weights, byRows: columns, features: keyCount, count: width, rowCount: 1)
      }
    }
    return result
  }

  // MARK: Sums of products

  /// The products of rows of `features` elements with `count` other rows.
  private static func rows(
    _ left: [Double], byRows right: [Double], features: Int, count: Int, rowCount: Int
  ) -> [Double] {
    left.withUnsafeBufferPointer { left in
      right.withUnsafeBufferPointer { right in
        var result: [Double] = []
        result.reserveCapacity(rowCount * count)
        for row in 0..<rowCount {
          let first = UnsafeBufferPointer(rebasing: left[row * features..<(row + 1) * features])
          for other in 0..<count {
            result.append(dot(first, UnsafeBufferPointer(rebasing: right[other * features..<(other + 1) * features])))
          }
        }
        return result
      }
    }
  }

  /// The sum of the products of two runs of equal length.
  private static func dot(_ a: UnsafeBufferPointer<Double>, _ b: UnsafeBufferPointer<Double>) -> Double {
    // Independent sums, which the processor adds side by side.
    let (x, y) = (UnsafeRawBufferPointer(a), UnsafeRawBufferPointer(b))
    var sums = SIMD8<Double>()
    let whole = a.count / 8 * 8
    for index in stride(from: 0, to: whole * 8, by: 64) {
      sums +=
        x.loadUnaligned(fromByteOffset: index, as: SIMD8<Double>.self)
        * y.loadUnaligned(fromByteOffset: index, as: SIMD8<Double>.self)
    }
    return (whole..<a.count).reduce(sums.sum()) { $0 + a[$1] * b[$1] }
  }
}
