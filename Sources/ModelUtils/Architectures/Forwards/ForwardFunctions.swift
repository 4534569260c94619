import ModelCore
import ModelGraph

/// The functions that forwards compute between their children. All throw `ModelError` when the graph becomes larger than
/// any model's; whether shapes fit is found when types are inferred.
extension ForwardCall {
  // MARK: Element by element

  /// A function of each element.
  public func unary(_ function: Unary, _ input: Value) throws -> Value { try emit(.unary(function), input) }
  /// A function of each pair of elements, broadcast.
  public func binary(_ function: Binary, _ first: Value, _ second: Value) throws -> Value {
    try emit(.binary(function), first, second)
  }
  /// The sum, broadcast.
  public func add(_ first: Value, _ second: Value) throws -> Value { try binary(.add, first, second) }
  /// The difference, broadcast.
  public func subtract(_ first: Value, _ second: Value) throws -> Value { try binary(.subtract, first, second) }
  /// The product element by element, broadcast.
  public func multiply(_ first: Value, _ second: Value) throws -> Value { try binary(.multiply, first, second) }
  /// The quotient, broadcast.
  public func divide(_ first: Value, _ second: Value) throws -> Value { try binary(.divide, first, second) }
  /// The input plus a number.
  public func add(_ input: Value, _ number: Double) throws -> Value { try add(input, constant([number], [])) }
  /// The input times a number.
  public func multiply(_ input: Value, _ number: Double) throws -> Value { try multiply(input, constant([number], [])) }
  /// What is positive, else 0.
  public func relu(_ input: Value) throws -> Value { try unary(.relu, input) }
  /// 1 / (1 + exp(-x)).
  public func sigmoid(_ input: Value) throws -> Value { try unary(.sigmoid, input) }
  /// The same elements in another type.
  public func convert(_ input: Value, _ dtype: DType) throws -> Value { try emit(.convert(dtype), input) }

  /// Adds tensors to the first, in order.
  public func sum(_ inputs: [Value]) throws -> Value {
    guard let first = inputs.first else { throw ModelError(.mismatch, "has no input", subject: path) }
    return try inputs.dropFirst().reduce(first) { try add($0, $1) }
  }

  // MARK: Over axes

  /// Softmax over an axis.
  public func softmax(_ input: Value, axis: Int) throws -> Value {
    try emit(.softmax(axis: axis, isLogarithm: false), input)
  }
  /// The mean over axes.
  public func mean(_ input: Value, axes: [Int], keepsAxes: Bool = false) throws -> Value {
    try emit(.reduce(.mean, axes: axes, keepsAxes: keepsAxes), input)
  }
  /// The largest element of an axis.
  public func max(_ input: Value, axis: Int, keepsAxis: Bool = false) throws -> Value {
    try emit(.reduce(.max, axes: [axis], keepsAxes: keepsAxis), input)
  }
  /// The product over the last two axes, the others broadcast: `matmul`.
  public func matrixProduct(_ first: Value, _ second: Value) throws -> Value { try emit(.matrixProduct, first, second) }

  /// The places of the largest elements of an axis, in falling order.
  public func places(ofLargest count: Int, _ input: Value, axis: Int) throws -> Value {
    try emitAll(.topK(axis: axis, count: count), [input])[1]
  }

  /// `F.normalize`: divided by the norm of an axis.
  public func normalize(_ input: Value, axis: Int, eps: Double = 1e-12) throws -> Value {
    let norm = try emit(.reduce(.norm, axes: [axis], keepsAxes: true), input)
    return try divide(input, unary(.clip(minimum: eps, maximum: nil), norm))
  }

  // MARK: Over windows

  /// The largest of each square window of a picture.
  public func maxPool(_ input: Value, kernel: Int, stride: Int, padding: Int = 0, ceilMode: Bool = false) throws
    -> Value
  {
    try pool(.max, input, kernel, stride, padding, ceilMode)
  }

  /// The mean of each square window of a picture, zeros around it counted.
  public func averagePool(_ input: Value, kernel: Int, stride: Int, padding: Int = 0) throws -> Value {
    try pool(.average, input, kernel, stride, padding, false)
  }

  private func pool(
    _ kind: Pool.Kind, _ input: Value, _ kernel: Int, _ stride: Int, _ padding: Int, _ ceilMode: Bool
  ) throws -> Value {
    try emit(
      .pool(
        Pool(
          kind, kernelSize: [kernel, kernel], stride: [stride, stride], padding: [padding, padding], ceilMode: ceilMode)
      ), input)
  }

  /// `adaptive_avg_pool2d` to one element for each channel.
  public func averagePool(_ input: Value) throws -> Value {
    try emit(.adaptivePool(AdaptivePool(.average, outputSize: [1, 1])), input)
  }

  /// In another size by a factor.
  public func resize(_ input: Value, scale: Double, mode: Resize.Mode = .nearest, alignsCorners: Bool = false) throws
    -> Value
  {
    try emit(.resize(Resize(.scale([scale]), mode: mode, alignsCorners: alignsCorners)), input)
  }

  /// In the spatial size of another.
  public func resize(_ input: Value, like other: Value, mode: Resize.Mode = .nearest, alignsCorners: Bool = false)
    throws
    -> Value
  {
    try emit(.resize(Resize(.operand, mode: mode, alignsCorners: alignsCorners)), input, other)
  }

  /// Zeros around the last axes of a tensor of four: left, right, top, bottom.
  public func pad(_ input: Value, _ amounts: [Int], value: Double = 0) throws -> Value {
    guard amounts.count == 4 else { throw ModelError(.unsupported, "cannot pad by \(amounts)", subject: path) }
    return try emit(
      .pad(
        [Margin(0), Margin(0), Margin(amounts[2], amounts[3]), Margin(amounts[0], amounts[1])], .constant(value)),
      input)
  }

  // MARK: Arrangement

  /// Joined along an axis: `torch.cat`.
  public func concatenate(_ inputs: [Value], axis: Int = 1) throws -> Value {
    try emit(.concatenate(axis: axis), inputs)
  }
  /// Joined along a new axis: `torch.stack`.
  public func stack(_ inputs: [Value], axis: Int = 0) throws -> Value { try emit(.stack(axis: axis), inputs) }
  /// Joins an axis and all behind it, down to `end`.
  public func flatten(_ input: Value, start: Int = 1, end: Int = -1) throws -> Value {
    try compute(.flatten(Flatten(start: start, end: end)), [input])[0]
  }
  /// In another shape; extents may refer to axes of the input (operand 0) and of the others.
  public func reshape(_ input: Value, _ extents: [Extent], like other: Value...) throws -> Value {
    try emit(.reshape(extents), [input] + other)
  }
  /// Axes of length 1 repeated; extents may refer to axes of the input (operand 0) and of the others.
  public func expand(_ input: Value, _ extents: [Extent], like other: Value...) throws -> Value {
    try emit(.expand(extents), [input] + other)
  }
  /// The axes in another order.
  public func permute(_ input: Value, _ axes: [Int]) throws -> Value { try emit(.permute(axes), input) }

  /// Elements of an axis from one to another (nil: the last) in steps; negative places count from the end.
  public func slice(_ input: Value, axis: Int, from start: Int = 0, to end: Int? = nil, step: Int = 1) throws -> Value {
    try emit(.slice(axis: axis, start: start, end: end, step: step), input)
  }

  /// `chunk`: equal parts of an axis.
  public func chunks(_ input: Value, _ count: Int, axis: Int = 1) throws -> [Value] {
    guard (1...1024).contains(count) else { throw ModelError(.mismatch, "cannot make \(count) parts", subject: path) }
    return try emitAll(.split(axis: axis, .equal(count)), [input])
  }

  /// `split` by sizes.
  public func split(_ input: Value, _ sizes: [Int], axis: Int = 1) throws -> [Value] {
    guard (1...1024).contains(sizes.count) else {
      throw ModelError(.mismatch, "cannot make \(sizes.count) parts", subject: path)
    }
    return try emitAll(.split(axis: axis, .sizes(sizes)), [input])
  }

  /// Elements of an axis at the places that another tensor [batch, count] names, batch entry by batch entry.
  public func gather(_ input: Value, _ places: Value, axis: Int = 1) throws -> Value {
    try emit(.gather(axis: axis, batchAxes: 1), input, places)
  }
}
