/// A two-operand einsum such as `bnqc,bkc->bqnk`: the size of every letter.
package struct Einsum {
  package let sizes: [Character: Int]
  package let outputShape: [Int]

  /// - Throws: `ModelError` for an equation that does not fit the shapes, or that is not written out.
  package init(_ equation: String, _ shapes: [[Int]]) throws {
    let sides = equation.split(separator: "-", omittingEmptySubsequences: false)
    let operands = sides.first?.split(separator: ",", omittingEmptySubsequences: false) ?? []
    guard sides.count == 2, sides[1].first == ">", operands.count == shapes.count,
      zip(operands, shapes).allSatisfy({ $0.count == $1.count })
    else { throw ModelError("the equation \(equation) does not fit its inputs") }
    var sizes: [Character: Int] = [:]
    for (operand, shape) in zip(operands, shapes) {
      for (letter, size) in zip(operand, shape) {
        guard sizes[letter, default: size] == size else {
          throw ModelError("the equation \(equation) does not fit its inputs")
        }
        sizes[letter] = size
      }
    }
    self.sizes = sizes
    outputShape = try sides[1].dropFirst().map { letter in
      guard let size = sizes[letter] else { throw ModelError("the equation \(equation) does not fit its inputs") }
      return size
    }
  }
}
