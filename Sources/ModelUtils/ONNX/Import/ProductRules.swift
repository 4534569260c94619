import ModelCore
import ModelGraph

/// Convolutions and products of matrices.
extension NodeRules {
  static let products: [String: Rule] = [
    "Conv": { call in
      [try call.convolution(call.operand(0), call.operand(1), call.optional(2))]
    },
    "ConvTranspose": { call in
      [try call.transposedConvolution(call.operand(0), call.operand(1), call.optional(2))]
    },
    "Gemm": { call in [try call.gemm()] },
    "MatMul": { call in [try call.matrixProduct(call.operand(0), call.operand(1))] },
    "Einsum": { call in
      let operands = try call.allOperands()
      let equation = try EinsumEquation(call.text("equation", ""), ranks: operands.map(\.rank)).written
      return try call.all(.einsum(equation), operands)
    },
  ]
}

extension NodeCall {
  /// - Throws: `ModelError` where the attribute says another window than the weight has.
  private func kernel(of weight: Operand) throws -> [Int] {
    let kernel = Array(weight.shape.dropFirst(2))
    if let said = try ints("kernel_shape"), !said.isEmpty, said != kernel {
      throw ModelError(.mismatch, "its kernel_shape is \(said), but its weight is \(weight.shape)")
    }
    return kernel
  }

  func convolution(_ x: Operand, _ weight: Operand, _ bias: Operand?) throws -> Operand {
    guard x.rank >= 3, weight.rank == x.rank else {
      throw ModelError(.mismatch, "takes \(x.shape) with a weight \(weight.shape)")
    }
    let geometry = try WindowGeometry(self, kernel: kernel(of: weight), sizes: Array(x.shape.dropFirst(2)))
    let groups = try int("group", 1)
    var (x, padding) = (x, geometry.padding)
    if padding.contains(where: { $0.before < 0 || $0.after < 0 }) {
      x = try emit(.pad([Margin(0), Margin(0)] + padding, .constant(0)), x)
      padding = padding.map { _ in Margin(0) }
    }
    let operation = Operation.convolution(
      ConvolutionGeometry(
        stride: geometry.stride, padding: padding, dilation: geometry.dilation, groups: groups))
    return try all(operation, [x, weight] + (bias.map { [$0] } ?? []))[0]
  }

  func transposedConvolution(_ x: Operand, _ weight: Operand, _ bias: Operand?) throws -> Operand {
    guard x.rank >= 3, weight.rank == x.rank else {
      throw ModelError(.mismatch, "takes \(x.shape) with a weight \(weight.shape)")
    }
    let kernel = try kernel(of: weight)
    let sizes = Array(x.shape.dropFirst(2))
    let geometry = try WindowGeometry(self, kernel: kernel, sizes: sizes)
    let rank = kernel.count
    var outputPadding = try ints("output_padding") ?? []
    if outputPadding.isEmpty { outputPadding = kernel.map { _ in 0 } }
    var wanted = try ints("output_shape") ?? []
    if wanted.count == rank + 2 { wanted.removeFirst(2) }
    guard outputPadding.count == rank, wanted.isEmpty || wanted.count == rank,
      (outputPadding + wanted).allSatisfy({ (0...1 << 31).contains($0) })
    else { throw ModelError(.malformed, "its output_padding or output_shape has some other number of axes") }
    let mode = try text("auto_pad", "NOTSET")
    let isSame = mode.hasPrefix("SAME")
    if wanted.isEmpty, isSame { wanted = zip(sizes, geometry.stride).map { $0 * $1 } }
    var padding = geometry.padding
    if !wanted.isEmpty {
      for axis in 0..<rank {
        let full = try product([sizes[axis] - 1, geometry.stride[axis]]) + geometry.reach(axis)
        let total = full + outputPadding[axis] - wanted[axis]
        if total < 0 { outputPadding[axis] -= total }
        let cut = max(total, 0)
        padding[axis] = mode == "SAME_UPPER" ? Margin(cut / 2, cut - cut / 2) : Margin(cut - cut / 2, cut / 2)
      }
    }
    let operation = Operation.convolution(
      ConvolutionGeometry(
        stride: geometry.stride, padding: padding, dilation: geometry.dilation, groups: try int("group", 1),
        isTransposed: true, outputPadding: outputPadding))
    return try all(operation, [x, weight] + (bias.map { [$0] } ?? []))[0]
  }

  /// α · A · B + β · C, either matrix transposed where it is said.
  func gemm() throws -> Operand {
    var (a, b) = (try operand(0), try operand(1))
    guard a.rank == 2, b.rank == 2 else { throw ModelError(.mismatch, "takes matrices, not \(a.shape) and \(b.shape)") }
    let (alpha, beta) = (try float("alpha", 1), try float("beta", 1))
    if try flag("transA") { a = try permute(a, [1, 0]) }
    if !(try flag("transB")) { b = try permute(b, [1, 0]) }
    guard a.shape[1] == b.shape[1] else { throw ModelError(.mismatch, "cannot multiply \(a.shape) by \(b.shape)") }
    let shape = [a.shape[0], b.shape[0]]
    let c = optional(2)
    if let c, c.tensor != nil, alpha == 1, beta == 1, !a.dtype.isInteger, c.count == shape[1],
      c.shape.last == shape[1] || shape[1] == 1
    {
      return try emit(.linear, a, b, reshape(c, [shape[1]]))
    }
    var result = try emit(.linear, a, b)
    if alpha != 1 { result = try scaled(result, alpha) }
    guard let c, beta != 0 else { return result }
    let sum = try binary(.add, result, beta == 1 ? c : scaled(c, beta))
    guard sum.shape == shape else { throw ModelError(.mismatch, "cannot add \(c.shape) to \(shape)") }
    return sum
  }

  private func scaled(_ x: Operand, _ factor: Double) throws -> Operand {
    guard x.dtype.isInteger else { return try binary(.multiply, x, scalar(factor, x.dtype)) }
    return try convert(binary(.multiply, convert(x, .float64), scalar(factor, .float64)), x.dtype)
  }

  /// As NumPy's `matmul`.
  func matrixProduct(_ a: Operand, _ b: Operand) throws -> Operand {
    guard a.rank > 0, b.rank > 0 else { throw ModelError(.mismatch, "multiplies a scalar") }
    let left = a.rank == 1 ? try reshape(a, [1, a.shape[0]]) : a
    let right = b.rank == 1 ? try reshape(b, [b.shape[0], 1]) : b
    guard left.shape[left.rank - 1] == right.shape[right.rank - 2] else {
      throw ModelError(.mismatch, "cannot multiply \(a.shape) by \(b.shape)")
    }
    var result =
      right.rank == 2 && right.tensor != nil && !right.dtype.isInteger
      ? try emit(.linear, left, permute(right, [1, 0])) : try emit(.matrixProduct, left, right)
    var shape = result.shape
    if b.rank == 1 { shape.removeLast() }
    if a.rank == 1 { shape.remove(at: shape.count - (b.rank == 1 ? 1 : 2)) }
    result = try reshape(result, shape)
    return result
  }
}

/// An equation as ONNX and NumPy write it: with spaces, an ellipsis for the axes in front, and perhaps no right side.
struct EinsumEquation {
  /// Every letter written out.
  let written: String

  init(_ text: String, ranks: [Int]) throws {
    let misfit = ModelError(.malformed, "the equation \(text) does not fit its inputs")
    let compact = text.filter { $0 != " " }
    let arrow = compact.range(of: "->")
    let left = arrow.map { String(compact[..<$0.lowerBound]) } ?? compact
    var terms = left.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    guard terms.count == ranks.count else { throw misfit }
    let free = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".filter { !compact.contains($0) }
    let counts = zip(terms, ranks).map { term, rank in term.contains(".") ? rank - (term.count - 3) : 0 }
    let most = counts.max() ?? 0
    guard counts.allSatisfy({ $0 >= 0 }), most <= free.count else { throw misfit }
    let dots = String(free.prefix(most))
    for index in terms.indices {
      terms[index] = try Self.replacing(terms[index], by: String(dots.suffix(counts[index])), misfit)
    }
    let output: String
    if let arrow {
      output = try Self.replacing(String(compact[arrow.upperBound...]), by: dots, misfit)
    } else {
      let letters = left.filter(\.isLetter)
      output = dots + String(letters.filter { letter in letters.count { $0 == letter } == 1 }.sorted())
    }
    written = terms.joined(separator: ",") + "->" + output
  }

  private static func replacing(_ term: String, by letters: String, _ misfit: ModelError) throws -> String {
    guard let first = term.firstIndex(of: ".") else { return term }
    guard term[first...].hasPrefix("..."), term.filter({ $0 == "." }).count == 3 else { throw misfit }
    return term[..<first] + letters + term[term.index(first, offsetBy: 3)...]
  }
}

extension String {
  /// Where a short text first stands in it.
  fileprivate func range(of text: String) -> Range<Index>? {
    for start in indices where self[start...].hasPrefix(text) {
      return start..<index(start, offsetBy: text.count)
    }
    return nil
  }
}
