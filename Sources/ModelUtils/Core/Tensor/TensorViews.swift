import CKernels

// MARK: Views, which share the storage

extension Tensor {
  /// The same elements in row-major order in another shape, as PyTorch's `reshape`: a view where the layout allows it.
  /// - Parameter shape: the lengths of the axes; one of them may be -1 and is what is left.
  /// - Throws: `ModelError` when the number of elements differs.
  public func reshaped(_ shape: [Int]) throws -> Tensor {
    let shape = try resolved(shape)
    if shape == self.shape { return self }
    if isContiguous { return try Tensor(storage, dtype: dtype, shape: shape, byteOffset: byteOffset) }
    return try packed().reshaped(shape)
  }

  private func resolved(_ shape: [Int]) throws(ModelError) -> [Int] {
    var shape = shape
    if let open = shape.firstIndex(of: -1) {
      shape[open] = 1
      guard let rest = Self.elementCount(shape), rest > 0, count % rest == 0 else {
        shape[open] = -1
        throw ModelError(.mismatch, "\(count) elements do not fill shape \(shape)")
      }
      shape[open] = count / rest
    }
    guard Self.elementCount(shape) == count else {
      throw ModelError(.mismatch, "\(count) elements do not fill shape \(shape)")
    }
    return shape
  }

  /// The axes from `start` to `end` (the last when nil) as one.
  /// - Throws: `ModelError` where there is no such axis.
  public func flattened(from start: Int = 0, to end: Int? = nil) throws -> Tensor {
    if shape.isEmpty { return try reshaped([1]) }
    let (start, end) = (try axis(start), try axis(end ?? -1))
    guard start <= end else { throw ModelError(.invalid, "axis \(start) stands behind axis \(end)") }
    return try reshaped(shape[..<start] + [shape[start...end].reduce(1, *)] + shape[(end + 1)...])
  }

  /// The axes in another order: axis `axes[i]` becomes axis i.
  /// - Throws: `ModelError` unless every axis is named once; negative numbers count from the end.
  public func permuted(_ axes: [Int]) throws -> Tensor {
    var order: [Int] = []
    for axis in axes { order.append(try self.axis(axis)) }
    guard Set(order).count == shape.count, order.count == shape.count else {
      throw ModelError(.invalid, "\(axes) is no order of \(shape.count) axes")
    }
    return try view(shape: order.map { shape[$0] }, strides: order.map { strides[$0] })
  }

  /// Two axes in each other's place.
  public func transposed(_ first: Int = -2, _ second: Int = -1) throws -> Tensor {
    var order = Array(shape.indices)
    order.swapAt(try axis(first), try axis(second))
    return try permuted(order)
  }

  /// With an axis of length 1 more, which becomes axis `axis` of the result.
  public func unsqueezed(_ axis: Int) throws -> Tensor {
    let place = axis < 0 ? axis + shape.count + 1 : axis
    guard (0...shape.count).contains(place) else {
      throw ModelError(.invalid, "a tensor of shape \(shape) has no room for axis \(axis)")
    }
    var (shape, strides) = (shape, strides)
    strides.insert(place < shape.count ? max(1, strides[place]) * max(1, shape[place]) : 1, at: place)
    shape.insert(1, at: place)
    return try view(shape: shape, strides: strides)
  }

  /// Without an axis of length 1.
  public func squeezed(_ axis: Int) throws -> Tensor {
    let axis = try self.axis(axis)
    guard shape[axis] == 1 else { throw ModelError(.mismatch, "axis \(axis) of shape \(shape) is not of length 1") }
    var (shape, strides) = (shape, strides)
    shape.remove(at: axis)
    strides.remove(at: axis)
    return try view(shape: shape, strides: strides)
  }

  /// Without all axes of length 1.
  public func squeezed() throws -> Tensor {
    let kept = shape.indices.filter { shape[$0] != 1 }
    return try view(shape: kept.map { shape[$0] }, strides: kept.map { strides[$0] })
  }

  /// Repeated along axes of length 1, and along new ones before the first, without a copy, as PyTorch's `expand`.
  /// - Throws: `ModelError` where another length than 1 would change, and for more than `expansionLimit` bytes.
  public func expanded(to shape: [Int]) throws -> Tensor {
    let added = shape.count - self.shape.count
    guard added >= 0, zip(shape.dropFirst(added), self.shape).allSatisfy({ $0 == $1 || $1 == 1 }) else {
      throw ModelError(.mismatch, "shape \(self.shape) cannot be expanded to \(shape)")
    }
    let strides = shape.indices.map { axis in
      axis < added || (self.shape[axis - added] == 1 && shape[axis] != 1) ? 0 : self.strides[axis - added]
    }
    return try view(shape: shape, strides: strides)
  }

  /// A part of each axis, from the first on: a number takes one place and drops the axis (negative ones count from the
  /// end), a range keeps it, `0...` is the whole axis. A view, as PyTorch's basic indexing.
  ///
  ///     try image[0, 0..., 10..<20]
  /// - Throws: `ModelError` for more indices than axes, and for what lies outside an axis.
  public subscript(_ indices: any AxisIndex...) -> Tensor {
    get throws {
      guard indices.count <= shape.count else {
        throw ModelError(.invalid, "\(indices.count) indices for a tensor of shape \(shape)")
      }
      var (shape, strides): ([Int], [Int]) = ([], [])
      var start = 0
      for axis in self.shape.indices {
        guard axis < indices.count else {
          shape.append(self.shape[axis])
          strides.append(self.strides[axis])
          continue
        }
        let selection = try indices[axis].selection(of: self.shape[axis])
        start += selection.places.lowerBound * self.strides[axis]
        guard selection.keepsAxis else { continue }
        shape.append(selection.places.count)
        strides.append(self.strides[axis])
      }
      return try view(shape: shape, strides: strides, from: start)
    }
  }

  private func view(shape: [Int], strides: [Int], from start: Int = 0) throws -> Tensor {
    guard let width = dtype.byteWidth else {
      if start == 0, strides == Self.contiguousStrides(shape) {
        return try Tensor(storage, dtype: dtype, shape: shape, byteOffset: byteOffset)
      }
      throw ModelError(.unsupported, "elements of \(dtype.rawValue) are smaller than a byte and have no views")
    }
    return try Tensor(
      storage, dtype: dtype, shape: shape, strides: strides,
      byteOffset: Self.elementCount(shape) == 0 ? byteOffset : byteOffset + start * width)
  }

  private func axis(_ axis: Int) throws(ModelError) -> Int {
    let place = axis < 0 ? axis + shape.count : axis
    guard shape.indices.contains(place) else {
      throw ModelError(.invalid, "a tensor of shape \(shape) has no axis \(axis)")
    }
    return place
  }

  /// Row-major in a storage of its own; what is still in a file is packed when it is read.
  private func packed() throws -> Tensor {
    isInMemory ? try materialized() : try Tensor(computed: dtype, shape) { try self.copyBytes(to: $0) }
  }
}

/// Something that selects a part of an axis: a place or a range of places.
public protocol AxisIndex: Sendable {
  /// The part of an axis of `length` places.
  /// - Throws: `ModelError` when the axis, of `length` places, has no such part.
  func selection(of length: Int) throws(ModelError) -> AxisSelection
}

/// A part of an axis.
public struct AxisSelection: Sendable, Hashable {
  /// The places that are selected, from 0.
  public let places: Range<Int>
  /// Whether the axis stays, with as many places; else there is one place, and the axis goes.
  public let keepsAxis: Bool
}

extension Int: AxisIndex {
  public func selection(of length: Int) throws(ModelError) -> AxisSelection {
    let place = self < 0 && self >= -length ? self + length : self
    guard place >= 0, place < length else { throw ModelError(.invalid, "place \(self) is none of \(length)") }
    return AxisSelection(places: place..<place + 1, keepsAxis: false)
  }
}

extension Range<Int>: AxisIndex {
  public func selection(of length: Int) throws(ModelError) -> AxisSelection {
    guard lowerBound >= 0, upperBound <= length else {
      throw ModelError(.invalid, "places \(lowerBound) to below \(upperBound) are not all among \(length)")
    }
    return AxisSelection(places: self, keepsAxis: true)
  }
}

extension ClosedRange<Int>: AxisIndex {
  public func selection(of length: Int) throws(ModelError) -> AxisSelection {
    guard lowerBound >= 0, upperBound < length else {
      throw ModelError(.invalid, "places \(lowerBound) to \(upperBound) are not all among \(length)")
    }
    return AxisSelection(places: lowerBound..<upperBound + 1, keepsAxis: true)
  }
}

extension PartialRangeFrom<Int>: AxisIndex {
  public func selection(of length: Int) throws(ModelError) -> AxisSelection {
    guard lowerBound >= 0, lowerBound <= length else {
      throw ModelError(.invalid, "places from \(lowerBound) on are none of \(length)")
    }
    return AxisSelection(places: lowerBound..<length, keepsAxis: true)
  }
}

extension PartialRangeUpTo<Int>: AxisIndex {
  public func selection(of length: Int) throws(ModelError) -> AxisSelection {
    guard upperBound >= 0 else { throw ModelError(.invalid, "places below \(upperBound) are none of \(length)") }
    return try (0..<upperBound).selection(of: length)
  }
}

// MARK: Joining, which copies

extension Tensor {
  /// Tensors one behind the other along an axis, as PyTorch's `cat`.
  /// - Throws: `ModelError` for no tensors, and for types or other lengths that differ.
  public static func concatenated(_ tensors: [Tensor], axis: Int = 0) throws -> Tensor {
    guard let first = tensors.first else { throw ModelError(.invalid, "there are no tensors to join") }
    guard first.dtype.byteWidth != nil else {
      throw ModelError(.unsupported, "elements of \(first.dtype.rawValue) are smaller than a byte and cannot be joined")
    }
    let axis = try first.axis(axis)
    var shape = first.shape
    shape[axis] = 0
    for tensor in tensors {
      guard tensor.dtype == first.dtype, tensor.shape.count == shape.count,
        shape.indices.allSatisfy({ $0 == axis || tensor.shape[$0] == shape[$0] })
      else {
        throw ModelError(
          .mismatch,
          "\(tensor.dtype.rawValue) \(tensor.shape) cannot be joined with \(first.dtype.rawValue) \(first.shape) along axis \(axis)"
        )
      }
      let (sum, overflow) = shape[axis].addingReportingOverflow(tensor.shape[axis])
      guard !overflow else { throw ModelError(.limit, "the joined axis is too long") }
      shape[axis] = sum
    }
    let rows = shape[..<axis].reduce(1, *)
    return try Tensor(first.dtype, shape) { destination in
      let rowBytes = rows == 0 ? 0 : destination.count / rows
      var start = 0
      for tensor in tensors where tensor.count > 0 {
        let bytes = tensor.byteCount / rows
        try tensor.withContiguousBytes { source in
          for row in 0..<rows {
            UnsafeMutableRawBufferPointer(
              rebasing: destination[row * rowBytes + start..<row * rowBytes + start + bytes]
            )
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[row * bytes..<(row + 1) * bytes]))
          }
        }
        start += bytes
      }
    }
  }

  /// Tensors of one shape along a new axis, as PyTorch's `stack`.
  /// - Throws: `ModelError` for no tensors, and for types or shapes that differ.
  public static func stacked(_ tensors: [Tensor], axis: Int = 0) throws -> Tensor {
    try concatenated(tensors.map { try $0.unsqueezed(axis) }, axis: axis)
  }
}
