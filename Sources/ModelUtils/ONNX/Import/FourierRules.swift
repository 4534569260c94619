import ModelCore
import ModelGraph

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Fourier's transform.
extension NodeRules {
  static let fourier: [String: Rule] = ["DFT": { call in [try call.fourier()] }]
}

extension NodeCall {
  /// Of real or complex numbers, their parts along the last axis, along another axis: products with waves.
  fileprivate func fourier() throws -> Operand {
    var x = try operand(0)
    guard x.rank >= 2, let parts = x.shape.last, parts == 1 || parts == 2 else {
      throw ModelError(.mismatch, "takes real or complex numbers along the last axis, not \(x.shape)")
    }
    let (isInverse, isOneSided) = (try flag("inverse"), try flag("onesided"))
    let named = try opset >= 20 ? integers(2)?.first ?? -2 : int("axis", 1)
    let axis = try self.axis(named, x.rank)
    guard axis < x.rank - 1 else { throw ModelError(.mismatch, "transforms along the parts of its numbers") }
    // Half of a spectrum stands for all of it.
    let isHalf = isInverse && isOneSided
    let given = x.shape[axis]
    let length = try integers(1)?.first ?? (isHalf ? 2 * (given - 1) : given)
    guard (1...1 << 20).contains(length) else { throw ModelError(.mismatch, "has a length of \(length)") }
    let taken = isHalf ? length / 2 + 1 : length
    if given > taken { x = try slice(x, axis, 0, taken) }
    if given < taken {
      let margins = x.shape.indices.map { $0 == axis ? Margin(0, taken - given) : Margin(0) }
      x = try emit(.pad(margins, .constant(0)), x)
    }
    let order = x.shape.indices.filter { $0 != axis && $0 != x.rank - 1 } + [axis]
    func part(_ index: Int) throws -> Operand {
      let flat = try reshape(slice(x, x.rank - 1, index, index + 1), Array(x.shape.dropLast()))
      return try permute(flat, order)
    }
    let count = isOneSided && !isInverse ? length / 2 + 1 : length
    let scale = isInverse ? 1 / Double(length) : 1
    func waves(_ wave: (Double) -> Double) throws -> Operand {
      guard try product([taken, count]) <= ONNXTracer.foldingLimit else {
        throw Unsizable("transforms \(taken) numbers to \(count), more than are multiplied out")
      }
      var values: [Double] = []
      values.reserveCapacity(taken * count)
      for row in 0..<taken {
        // The mirrored half counts with it.
        let isPair = isHalf && row > 0 && 2 * row != length
        for column in 0..<count {
          values.append(wave(2 * .pi * Double(row * column % length) / Double(length)) * scale * (isPair ? 2 : 1))
        }
      }
      return try constant(values, x.dtype, [taken, count])
    }
    let (cosines, sines) = (try waves(cos), try waves { isInverse ? -sin($0) : sin($0) })
    let real = try part(0)
    let imaginary = parts == 2 ? try part(1) : nil
    var results = [try matrixProduct(real, cosines)]
    if let imaginary { results[0] = try binary(.add, results[0], matrixProduct(imaginary, sines)) }
    if !isHalf {
      var turned = try unary(.negate, matrixProduct(real, sines))
      if let imaginary { turned = try binary(.add, turned, matrixProduct(imaginary, cosines)) }
      results.append(turned)
    }
    var back = Array(0..<x.rank - 2)
    back.insert(x.rank - 2, at: axis)
    let columns = try results.map { try unsqueeze(permute($0, back), x.rank - 1) }
    return columns.count == 1 ? columns[0] : try all(.concatenate(axis: x.rank - 1), columns)[0]
  }
}
