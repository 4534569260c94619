import ModelCore

/// An einsum such as `bnqc,bkc->bqnk`: the size of every letter.
package struct Einsum {
  package let sizes: [Character: Int]
  package let outputShape: [Int]
  /// The letters of each operand, one an axis.
  package let operands: [[Character]]
  package let output: [Character]

  /// - Throws: `ModelError` for an equation that does not fit the shapes, or that is not written out.
  package init(_ equation: String, _ shapes: [[Int]]) throws {
    let misfit = ModelError(.mismatch, "the equation \(equation) does not fit its inputs")
    let sides = equation.split(separator: "-", omittingEmptySubsequences: false)
    operands = sides.first?.split(separator: ",", omittingEmptySubsequences: false).map(Array.init) ?? []
    guard sides.count == 2, sides[1].first == ">", operands.map(\.count) == shapes.map(\.count) else { throw misfit }
    var sizes: [Character: Int] = [:]
    for (operand, shape) in zip(operands, shapes) {
      for (letter, size) in zip(operand, shape) {
        guard sizes[letter, default: size] == size else { throw misfit }
        sizes[letter] = size
      }
    }
    self.sizes = sizes
    output = Array(sides[1].dropFirst())
    guard Set(output).count == output.count else { throw misfit }
    outputShape = try output.map { letter in
      guard let size = sizes[letter] else { throw misfit }
      return size
    }
  }

  /// The letters over which is summed.
  var summed: [Character] { Set(sizes.keys).subtracting(output).sorted() }

  /// How far a step of each letter leads in an operand; a letter that stands twice steps along a diagonal.
  func strides(of operand: Int) -> [Character: Int] {
    let letters = operands[operand]
    let strides = Tensor.contiguousStrides(letters.map { sizes[$0] ?? 0 })
    return Dictionary(zip(letters, strides), uniquingKeysWith: +)
  }
}
