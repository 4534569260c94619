import ModelCore

/// A tensor of the reference interpreter: its elements in row-major order, each as a double.
public struct ReferenceArray: Sendable {
  /// The element type and the shape.
  public let type: TensorType
  /// The elements in row-major order.
  public let values: [Double]

  /// An array of given elements.
  /// - Parameter values: as many as the shape has elements.
  public init(_ type: TensorType, _ values: [Double]) {
    self.type = type
    self.values = values
  }

  /// - Throws: as `Tensor.doubles`.
  package init(_ tensor: Tensor) throws {
    self.init(TensorType(tensor.dtype, tensor.shape), try tensor.doubles())
  }

  /// The elements rounded to their type.
  package func tensor() throws -> Tensor {
    try Tensor(.float64, shape) { bytes in values.withUnsafeBytes { bytes.copyMemory(from: $0) } }.cast(to: type.dtype)
  }

  var shape: [Int] { type.shape }

  /// Of its elements, repeated along axes of length 1 and further axes in front.
  func strides(broadcastTo shape: [Int]) -> [Int] {
    [Int](repeating: 0, count: shape.count - self.shape.count)
      + zip(self.shape, Tensor.contiguousStrides(self.shape)).map { $0 == 1 ? 0 : $1 }
  }

  func broadcast(to shape: [Int]) -> [Double] {
    shape == self.shape ? values : elements(at: places(of: shape, strides: strides(broadcastTo: shape)))
  }

  func elements(at places: [Int]) -> [Double] { places.map { values[$0] } }
}

/// Where strides lead for every index of a shape, in row-major order.
func places(of shape: some Sequence<Int>, strides: some Sequence<Int>, from start: Int = 0) -> [Int] {
  var places = [start]
  for (size, stride) in zip(shape, strides) {
    var next: [Int] = []
    next.reserveCapacity(places.count * size)
    for place in places {
      for index in 0..<size { next.append(place + index * stride) }
    }
    places = next
  }
  return places
}

/// A tensor seen along one of its axes: [outer, length, inner].
struct AxisView {
  let outer: Int
  let length: Int
  let inner: Int

  init(_ shape: [Int], axis: Int) {
    outer = Shape.count(shape[..<axis])
    length = shape[axis]
    inner = Shape.count(shape[(axis + 1)...])
  }

  init(_ shape: [Int], counting axis: Int) throws { self.init(shape, axis: try Shape.axis(axis, shape.count)) }

  func place(_ outer: Int, _ index: Int, _ inner: Int) -> Int { (outer * length + index) * self.inner + inner }

  /// For every line along the axis, in row-major order, the places of its elements.
  var lines: some Sequence<StrideTo<Int>> {
    (0..<outer).lazy.flatMap { outer in
      (0..<inner).lazy.map { inner in
        stride(from: place(outer, 0, inner), to: place(outer, length, inner), by: self.inner)
      }
    }
  }

  /// The elements with each line along the axis replaced by elements of it, a negative index standing for `filler`.
  func picking(_ indices: [Int], of values: [Double], filler: Double = 0) -> [Double] {
    var result: [Double] = []
    result.reserveCapacity(outer * indices.count * inner)
    for outer in 0..<outer {
      for index in indices {
        if index < 0 {
          result.append(contentsOf: repeatElement(filler, count: inner))
        } else {
          let start = place(outer, index, 0)
          result.append(contentsOf: values[start..<start + inner])
        }
      }
    }
    return result
  }
}
