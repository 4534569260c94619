import ModelCore

/// Operations along axes.
extension Reference {
  static func reduce(_ input: ReferenceArray, _ reduction: Reduction, _ axes: [Int]) throws -> [Double] {
    let chosen = Set(try axes.map { try Shape.axis($0, input.shape.count) })
    let strides = Tensor.contiguousStrides(input.shape)
    func walk(_ axes: [Int]) -> [Int] { places(of: axes.map { input.shape[$0] }, strides: axes.map { strides[$0] }) }
    let steps = walk(chosen.sorted())
    let starts = walk(input.shape.indices.filter { !chosen.contains($0) })
    guard !steps.isEmpty || starts.isEmpty || (reduction != .max && reduction != .min) else {
      throw ModelError(.mismatch, "no elements have no \(reduction.rawValue)")
    }
    return starts.map { start in
      switch reduction {
      case .sum: steps.reduce(0) { $0 + input.values[start + $1] }
      case .mean: steps.reduce(0) { $0 + input.values[start + $1] } / Double(steps.count)
      case .max: steps.reduce(-.infinity) { Binary.maximum($0, input.values[start + $1]) }
      case .min: steps.reduce(.infinity) { Binary.minimum($0, input.values[start + $1]) }
      case .product: steps.reduce(1) { $0 * input.values[start + $1] }
      case .norm: steps.reduce(0) { $0 + input.values[start + $1] * input.values[start + $1] }.squareRoot()
      }
    }
  }

  static func argmax(_ input: ReferenceArray, _ axis: Int) throws -> [Double] {
    let view = try AxisView(input.shape, counting: axis)
    guard view.length > 0 || view.outer * view.inner == 0 else {
      throw ModelError(.mismatch, "no elements have no largest")
    }
    return view.lines.map { Double(largest(input.elements(at: Array($0)), count: 1)[0]) }
  }

  static func topK(_ input: ReferenceArray, _ axis: Int, _ count: Int) throws -> [[Double]] {
    let view = try AxisView(input.shape, counting: axis)
    let count = min(count, view.length)
    var values = [Double](repeating: 0, count: view.outer * count * view.inner)
    var indices = values
    let results = AxisView([view.outer, count, view.inner], axis: 1)
    for (line, resultLine) in zip(view.lines, results.lines) {
      let elements = input.elements(at: Array(line))
      for (index, place) in zip(largest(elements, count: count), resultLine) {
        values[place] = elements[index]
        indices[place] = Double(index)
      }
    }
    return [values, indices]
  }

  /// Where the largest elements stand, in falling order: of equal ones the first, and NaN before any number.
  private static func largest(_ values: [Double], count: Int) -> [Int] {
    func isBefore(_ a: Int, _ b: Int) -> Bool {
      let (x, y) = (values[a], values[b])
      if x.isNaN || y.isNaN { return x.isNaN && (!y.isNaN || a < b) }
      return x > y || (x == y && a < b)
    }
    if count == 1 { return values.indices.min(by: isBefore).map { [$0] } ?? [] }
    return Array(values.indices.sorted(by: isBefore).prefix(count))
  }

  static func softmax(_ input: ReferenceArray, _ axis: Int?, isLogarithm: Bool) throws -> [Double] {
    if input.shape.isEmpty { return softmax(input.values, isLogarithm: isLogarithm) }
    var result = input.values
    let axis = axis ?? ([1, 3].contains(input.shape.count) ? 0 : 1)
    for line in try AxisView(input.shape, counting: axis).lines {
      for (place, value) in zip(line, softmax(input.elements(at: Array(line)), isLogarithm: isLogarithm)) {
        result[place] = value
      }
    }
    return result
  }

  /// Of one line.
  static func softmax(_ line: [Double], isLogarithm: Bool) -> [Double] {
    // Less the largest, so that no exponential overflows.
    let largest = line.reduce(-.infinity) { Binary.maximum($0, $1) }
    let exponentials = line.map { CMath.exp($0 - largest) }
    let sum = exponentials.reduce(0, +)
    return isLogarithm ? line.map { $0 - largest - CMath.log(sum) } : exponentials.map { $0 / sum }
  }
}
