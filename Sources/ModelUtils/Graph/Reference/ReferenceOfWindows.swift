import ModelCore

/// Pools.
extension Reference {
  static func pool(_ pool: Pool, _ input: ReferenceArray, _ type: TensorType) throws -> [Double] {
    let rank = pool.kernelSize.count
    for (kernel, length) in zip(pool.kernelSize, type.shape.suffix(rank)) {
      let (elements, overflow) = kernel.multipliedReportingOverflow(by: length)
      guard !overflow, elements <= 1 << 28 else { throw ModelError(.limit, "its windows are too large") }
    }
    let windows = Windows(pool, input: input.shape.suffix(rank), output: type.shape.suffix(rank))
    try requireElements(windows)
    return overWindows(windows, input.values) { position, elements in
      switch pool.kind {
      case .max: elements.reduce(-.infinity) { Binary.maximum($0, $1) }
      case .average:
        elements.isEmpty
          ? 0
          : elements.reduce(0, +)
            / Double(pool.divisor ?? (pool.countsPadding ? windows.paddedCount(position) : elements.count))
      }
    }
  }

  static func adaptivePool(_ pool: AdaptivePool, _ input: ReferenceArray, _ type: TensorType) throws -> [Double] {
    let rank = pool.outputSize.count
    let windows = Windows(sharing: input.shape.suffix(rank), among: type.shape.suffix(rank))
    try requireElements(windows)
    return overWindows(windows, input.values) { _, elements in
      switch pool.kind {
      case .max: elements.reduce(-.infinity) { Binary.maximum($0, $1) }
      case .average: elements.reduce(0, +) / Double(elements.count)
      }
    }
  }

  private static func requireElements(_ windows: Windows) throws {
    guard windows.count == 0 || windows.planeSize > 0 else { throw ModelError(.mismatch, "no elements have no pool") }
  }

  /// Planes of values, each window's elements made one.
  private static func overWindows(
    _ windows: Windows, _ values: [Double], _ body: (_ position: Int, _ elements: [Double]) -> Double
  ) -> [Double] {
    guard windows.planeSize > 0 else { return [] }
    let planes = values.count / windows.planeSize
    var result = [Double](repeating: 0, count: planes * windows.count)
    for position in 0..<windows.count {
      let places = windows.places(position).filter { $0 >= 0 }
      for plane in 0..<planes {
        result[plane * windows.count + position] = body(position, places.map { values[plane * windows.planeSize + $0] })
      }
    }
    return result
  }
}

/// For every place of an output the places of its input that its window covers.
struct Windows {
  /// For each axis, output index and element of the window the input's index; negative outside.
  private let sources: [[[Int]]]
  /// For each axis and output index how many elements of the window lie inside the input or its padding.
  private var paddedCounts: [[Int]] = []
  private let strides: [Int]
  /// The elements of an input's plane.
  let planeSize: Int
  /// How many windows there are.
  let count: Int

  private init(_ sources: [[[Int]]], input: [Int]) {
    self.sources = sources
    strides = Tensor.contiguousStrides(input)
    planeSize = Shape.count(input)
    count = Shape.count(sources.map(\.count))
  }

  /// Of a convolution; a transposed one gathers what its input would spread.
  init(_ geometry: ConvolutionGeometry, input: [Int], kernel: [Int], output: some Collection<Int>) {
    let sources = zip(input.indices, output).map { axis, length in
      let (stride, dilation, before) = (geometry.stride[axis], geometry.dilation[axis], geometry.padding[axis].before)
      return (0..<length).map { index in
        (0..<kernel[axis]).map { element in
          if geometry.isTransposed {
            let spread = index + before - element * dilation
            return spread >= 0 && spread % stride == 0 && spread / stride < input[axis] ? spread / stride : -1
          }
          let source = index * stride - before + element * dilation
          return source < input[axis] ? source : -1
        }
      }
    }
    self.init(sources, input: input)
  }

  init(_ pool: Pool, input: some Collection<Int>, output: some Collection<Int>) {
    let input = Array(input)
    let reaches = zip(input.indices, output).map { axis, length in
      (0..<length).map { index in
        (0..<pool.kernelSize[axis]).map { index * pool.stride[axis] - pool.padding[axis] + $0 * pool.dilation[axis] }
      }
    }
    self.init(zip(input, reaches).map { size, windows in windows.map { $0.map { $0 < size ? $0 : -1 } } }, input: input)
    paddedCounts = input.indices.map { axis in
      reaches[axis].map { window in window.count { $0 < input[axis] + pool.padding[axis] } }
    }
  }

  /// Windows that share an input among outputs, overlapping where it does not divide.
  init(sharing input: some Collection<Int>, among output: some Collection<Int>) {
    let sources = zip(input, output).map { size, length in
      (0..<length).map { Array($0 * size / length..<(($0 + 1) * size + length - 1) / length) }
    }
    self.init(sources, input: Array(input))
  }

  private func indices(_ position: Int) -> [Int] {
    var remaining = position
    return sources.reversed().map { windows in
      defer { remaining /= windows.count }
      return remaining % windows.count
    }.reversed()
  }

  /// The window's places in the input's plane, in row-major order; negative outside.
  func places(_ position: Int) -> [Int] {
    var places = [0]
    for (axis, index) in indices(position).enumerated() {
      places = places.flatMap { place in
        sources[axis][index].map { place < 0 || $0 < 0 ? -1 : place + $0 * strides[axis] }
      }
    }
    return places
  }

  func paddedCount(_ position: Int) -> Int {
    indices(position).enumerated().reduce(1) { $0 * paddedCounts[$1.offset][$1.element] }
  }
}
