import ModelCore

/// Computes operations plainly, in double precision: what other ways of running a graph are measured by.
///
/// Sums are accumulated in double and results of floating types stay unrounded, but for a `convert` to a narrower type.
/// Whole numbers stay whole; those of narrow types wrap around as PyTorch's do.
public enum Reference {
  /// The results of an operation, whose types were inferred.
  /// - Throws: `ModelError` for what is not known, what draws random numbers, and elements that have no result, such as
  ///   a place beyond an axis.
  package static func compute(
    _ operation: Operation, _ operands: [ReferenceArray], _ types: [TensorType]
  ) throws -> [ReferenceArray] {
    guard let first = operands.first, let type = types.first else { throw ModelError(.mismatch, "has no input") }
    // Axes beside an empty one may be of any length.
    guard types.contains(where: { Shape.count($0.shape) > 0 }) else { return types.map { ReferenceArray($0, []) } }
    let results: [[Double]]
    switch operation {
    case .convolution(let geometry): results = [convolution(geometry, operands, type)]
    case .linear: results = [linear(operands)]
    case .matrixProduct: results = [matrixProduct(operands, type)]
    case .einsum(let equation): results = [try einsum(equation, operands, type)]
    case .attention(let scale): results = [attention(scale: scale, operands)]
    case .recurrence(let recurrence): results = self.recurrence(recurrence, operands)
    case .batchNorm(.inference, let eps): results = [batchNorm(eps: eps, operands)]
    case .batchNorm(.training(let momentum), let eps):
      results = try batchNormInTraining(momentum: momentum, eps: eps, operands)
    case .layerNorm(let axes, let eps): results = [layerNorm(axes: axes, eps: eps, operands)]
    case .rmsNorm(let axes, let eps): results = [rmsNorm(axes: axes, eps: eps, operands)]
    case .groupNorm(let groups, let eps): results = [groupNorm(groups: groups, eps: eps, operands)]
    case .softmax(let axis, let isLogarithm): results = [try softmax(first, axis, isLogarithm: isLogarithm)]
    case .unary(let function): results = [first.values.map { function($0) }]
    case .prelu: results = [prelu(first, slopes: operands[1])]
    case .binary(let function): results = [try binary(function, operands, type)]
    case .compare(let comparison): results = [compare(comparison, operands, type)]
    case .select: results = [select(operands, type)]
    case .convert(let dtype): results = [try convert(first, to: dtype)]
    case .dropout(let dropout): results = [try self.dropout(operands, dropout)]
    case .reduce(let reduction, let axes, _): results = [try reduce(first, reduction, axes)]
    case .argmax(let axis, _): results = [try argmax(first, axis)]
    case .topK(let axis, let count): results = try topK(first, axis, count)
    case .pool(let pool): results = [try self.pool(pool, first, type)]
    case .adaptivePool(let pool): results = [try adaptivePool(pool, first, type)]
    case .resize(let resize): results = [try self.resize(resize, first, type)]
    case .pad(let margins, let mode): results = [pad(first, margins, mode)]
    case .samePad(let padding): results = [pad(first, try padding.margins(of: first.shape), .constant(padding.value))]
    case .gridSample(let alignsCorners): results = [gridSample(operands, alignsCorners: alignsCorners)]
    case .pixelShuffle(let shuffle): results = [pixelShuffle(first, shuffle)]
    case .concatenate(let axis): results = [try concatenate(operands, axis)]
    case .stack(let axis): results = [try stack(operands, axis)]
    case .split(let axis, _): results = try split(first, axis, types)
    case .slice(let axis, let start, let end, let step): results = [try slice(first, axis, start, end, step)]
    case .gather(let axis, let batchAxes): results = [try gather(operands, axis, batchAxes)]
    case .scatter(let reduction): results = [try scatter(operands, reduction)]
    case .reshape, .flatten: results = [first.values]
    case .permute(let axes): results = [try permute(first, axes)]
    case .expand: results = [first.broadcast(to: type.shape)]
    case .coordinates: results = [(0..<type.shape[0]).map(Double.init)]
    case .shape: results = [first.shape.map(Double.init)]
    case .gradient(let gradient): results = try self.gradient(gradient, operands, types)
    case .other(let name): throw ModelError(.unsupported, "what \(name) computes is not known")
    }
    return try zip(types, results).map { type, values in
      ReferenceArray(type, type.dtype.isInteger ? try values.map(type.dtype.wrapped) : values)
    }
  }
}

extension DType {
  /// A whole number as an integer type or bool holds it.
  /// - Throws: `ModelError` for a fraction, and beyond what double precision holds exactly.
  fileprivate func wrapped(_ value: Double) throws -> Double {
    if self == .bool { return value == 0 ? 0 : 1 }
    guard abs(value) <= 0x1p53, value == value.rounded(.towardZero) else {
      throw ModelError(.mismatch, "\(value) is no \(rawValue) number that double precision holds")
    }
    switch self {
    case .int8: return Double(Int8(truncatingIfNeeded: Int(value)))
    case .int16: return Double(Int16(truncatingIfNeeded: Int(value)))
    case .int32: return Double(Int32(truncatingIfNeeded: Int(value)))
    case .uint8: return Double(UInt8(truncatingIfNeeded: Int(value)))
    case .uint16: return Double(UInt16(truncatingIfNeeded: Int(value)))
    case .uint32: return Double(UInt32(truncatingIfNeeded: Int(value)))
    case .uint64: return Double(UInt64(truncatingIfNeeded: Int(value)))
    default: return value
    }
  }
}
