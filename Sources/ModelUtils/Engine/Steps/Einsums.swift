import CEngine
import ModelCore
import ModelGraph

extension Compiler {
  /// A product by an equation, as permutations, sums and batched products: two operands at a time, from the left.
  mutating func einsum(_ equation: String, _ node: Graph.Node) throws {
    let parsed = try Einsum(equation, node.operands.map { types[$0].shape })
    var terms = try zip(node.operands, parsed.operands).map { operand, letters in
      diagonal(try place(operand), letters)
    }
    var left = terms.removeFirst()
    while let right = terms.first {
      terms.removeFirst()
      let wanted = Set(parsed.output + terms.flatMap(\.letters))
      left = try multiplied(left, right, wanted, node)
    }
    left = try summed(left, Set(parsed.output), node)
    set(node.results[0], left.placed.with(left.layout(parsed.output)))
  }

  /// A value whose axes bear letters.
  private struct Term {
    var placed: Placed
    var letters: [Character]

    /// The axes in the order of some letters; those it does not have are of length 1.
    func layout(_ order: [Character]) -> Layout {
      let axes = order.map { letters.firstIndex(of: $0) }
      return Layout(
        shape: axes.map { $0.map { placed.layout.shape[$0] } ?? 1 },
        strides: axes.map { $0.map { placed.layout.strides[$0] } ?? 0 }, offset: placed.layout.offset)
    }
  }

  /// Each letter once: one that stands twice steps along a diagonal.
  private func diagonal(_ placed: Placed, _ letters: [Character]) -> Term {
    var (kept, layout) = ([Character](), Layout(shape: [], strides: [], offset: placed.layout.offset))
    for (axis, letter) in letters.enumerated() {
      if let place = kept.firstIndex(of: letter) {
        layout.strides[place] += placed.layout.strides[axis]
      } else {
        kept.append(letter)
        layout.shape.append(placed.layout.shape[axis])
        layout.strides.append(placed.layout.strides[axis])
      }
    }
    return Term(placed: placed.with(layout), letters: kept)
  }

  /// Without the letters that nothing asks for.
  private mutating func summed(_ term: Term, _ wanted: Set<Character>, _ node: Graph.Node) throws -> Term {
    let gone = term.letters.indices.filter { !wanted.contains(term.letters[$0]) }
    guard !gone.isEmpty else { return term }
    return Term(
      placed: try sum(term.placed, gone, node), letters: term.letters.filter { wanted.contains($0) })
  }

  private mutating func multiplied(
    _ left: Term, _ right: Term, _ wanted: Set<Character>, _ node: Graph.Node
  ) throws -> Term {
    let left = try summed(left, wanted.union(right.letters), node)
    let right = try summed(right, wanted.union(left.letters), node)
    let shared = left.letters.filter { right.letters.contains($0) }
    let (batch, inner) = (shared.filter { wanted.contains($0) }, shared.filter { !wanted.contains($0) })
    let rows = left.letters.filter { !shared.contains($0) }
    let columns = right.letters.filter { !shared.contains($0) }
    let letters = batch + rows + columns
    func sizes(_ letters: [Character]) -> [Int] {
      letters.map { letter in
        left.letters.firstIndex(of: letter).map { left.placed.layout.shape[$0] }
          ?? right.letters.firstIndex(of: letter).map { right.placed.layout.shape[$0] } ?? 1
      }
    }
    if inner.isEmpty || rows.isEmpty && columns.isEmpty {
      // Nothing is summed, or nothing but that: a product of elements.
      let all = letters + inner
      let product = try multiplied(left.placed.with(left.layout(all)), right.placed.with(right.layout(all)), node)
      return try summed(Term(placed: product, letters: all), wanted, node)
    }
    func count(_ letters: [Character]) -> Int { sizes(letters).reduce(1, *) }
    func matrix(_ term: Term, _ first: [Character], _ second: [Character]) throws -> Placed {
      let shape = [count(batch), count(first), count(second)]
      let placed = term.placed.with(term.layout(batch + first + second))
      if let layout = placed.layout.reshaped(to: shape) { return try factor(placed.with(layout)) }
      let copy = try dense(placed, as: .rowMajor(placed.layout.shape))
      var layout = Layout.rowMajor(shape)
      layout.offset = copy.layout.offset
      return copy.with(layout)
    }
    let product = try product(matrix(left, rows, inner), matrix(right, inner, columns), node)
    var layout = Layout.rowMajor(sizes(letters))
    layout.offset = product.layout.offset
    return Term(placed: product.with(layout), letters: letters)
  }
}
