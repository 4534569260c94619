import CEngine
import CKernels
import ModelCore
import ModelGraph

/// What follows a convolution or linear layer and is computed with it: a batch norm in its weights, then functions and
/// sums on its result before that is stored.
struct Epilogue {
  enum Post {
    case function(EltwiseFunction)
    case add(Graph.Value)
  }

  /// What is added to each channel before all else, where the layer itself has no bias.
  var bias: Graph.Value?
  /// A batch norm that goes into the weights.
  var norm: Graph.Node?
  var posts: [Post] = []
  /// Whether it follows a convolution, whose channels are the second axis.
  let isOfConvolution: Bool
  /// Whether the layer has no bias of its own.
  let takesBias: Bool
  /// What the last of them gives.
  var result: Graph.Value
}

extension Compiler {
  /// Finds what can go with each convolution and linear layer: what alone takes its result, and so on. The fused
  /// operation stands where the last part stood, when all that it takes is there.
  mutating func findEpilogues() {
    let users = graph.users()
    let kept = Set(outputs)
    for (index, node) in graph.nodes.enumerated()
    where isNeeded[index] && node.operation.isLinear && absorbed[index] == nil && isFloatWithElements(node) {
      var isOfConvolution = false
      if case .convolution = node.operation { isOfConvolution = true }
      var epilogue = Epilogue(
        isOfConvolution: isOfConvolution, takesBias: node.operands.count == 2, result: node.results[0])
      var last = index
      while epilogue.posts.count < Int(CE_MAX_POSTS), !kept.contains(epilogue.result) {
        let next = users[epilogue.result.index].filter { isNeeded[$0] }
        guard next.count == 1, absorbed[next[0]] == nil, epilogue.take(graph.nodes[next[0]], in: self) else { break }
        last = next[0]
        absorbed[last] = index
      }
      if last != index {
        absorbed[index] = index
        fused[last] = (index, epilogue)
      }
    }
  }

  /// The same where it is all computed anew.
  /// - Parameter copies: of nodes those that compute them anew.
  mutating func repeatEpilogues(in copies: [Int: Int]) {
    for (last, fusion) in fused {
      let parts = absorbed.filter { $0.value == fusion.layer }.keys
      guard let copy = copies[last], let layer = copies[fusion.layer] else { continue }
      var values: [Graph.Value: Graph.Value] = [:]
      var epilogue = fusion.epilogue
      for part in parts {
        guard let place = copies[part] else { continue }
        let (node, again) = (graph.nodes[part], graph.nodes[place])
        for (value, own) in zip(node.operands + node.results, again.operands + again.results) { values[value] = own }
        if case .batchNorm = again.operation { epilogue.norm = again }
        absorbed[place] = layer
      }
      epilogue.take(values)
      fused[copy] = (layer, epilogue)
    }
  }

  /// Whether a node takes and gives float32 alone, and some of it.
  private func isFloatWithElements(_ node: Graph.Node) -> Bool {
    (node.operands + node.results).allSatisfy { types[$0].dtype == .float32 && !types[$0].shape.contains(0) }
  }

  /// Posts in oneDNN's words; a sum's other operand is brought into the result's layout.
  mutating func posts(_ epilogue: Epilogue, _ shape: [Int], asRows rows: Int? = nil) throws -> Posts {
    var posts = Posts()
    for (place, post) in epilogue.posts.enumerated() {
      switch post {
      case .function(let function):
        posts.list.append(
          ce_post(
            function: ce_function(function.function), alpha: function.alpha, beta: function.beta, binary: CE_ADD,
            operand: nil))
      case .add(let value):
        let operand = try dense(stored(value), as: rows == nil ? .channelsLast(shape) : .rowMajor(shape))
        let width = shape.last ?? 1
        let description =
          try rows.map { try MemoryDescription([$0, width], strides: [width, 1], operand.dtype) }
          ?? MemoryDescription(operand)
        posts.descriptions.append(description)
        posts.operands.append((ce_post_argument(Int32(place)), operand))
        posts.list.append(ce_post(function: CE_RELU, alpha: 0, beta: 0, binary: CE_ADD, operand: description.handle))
      }
    }
    return posts
  }
}

/// What is left of an epilogue to a pass of our own over the result, which is faster than oneDNN's SiLU: that function,
/// and perhaps a sum behind it.
struct Tail {
  let addend: Graph.Value?
}

extension Epilogue {
  /// Takes other values in the places of some.
  fileprivate mutating func take(_ others: [Graph.Value: Graph.Value]) {
    bias = bias.map { others[$0] ?? $0 }
    result = others[result] ?? result
    posts = posts.map { if case .add(let value) = $0 { .add(others[value] ?? value) } else { $0 } }
  }

  /// Takes SiLU off the end of the posts.
  mutating func takeTail() -> Tail? {
    var posts = self.posts
    var addend: Graph.Value?
    if case .add(let value) = posts.last {
      addend = value
      posts.removeLast()
    }
    guard case .function(let function) = posts.last, function.isSiLU else { return nil }
    self.posts = posts.dropLast()
    return Tail(addend: addend)
  }
}

extension Compiler {
  /// Adds a tail's step, which works in place.
  mutating func add(_ tail: Tail, to result: Placed, _ node: Graph.Node) throws {
    let addend = try tail.addend.map { try dense(place($0, as: result.dtype), as: result.layout) }
    let (count, width) = (result.layout.count, result.dtype.byteWidth ?? 4)
    let type = result.dtype == .bfloat16 ? MK_BFLOAT16 : MK_FLOAT32
    current.removeFirst()
    add(node, addend == nil ? "silu" : "silu and sum", "own", reads: [addend ?? result], writes: [result]) { memory in
      nonisolated(unsafe) let (values, added) = (memory.pointer(result), addend.map { memory.pointer($0) })
      return {
        Parallel.forEachRange(count, of: 1) { range in
          let part = values + range.lowerBound * width
          mk_silu(part, part, added.map { $0 + range.lowerBound * width }, range.count, type)
        }
      }
    }
  }
}

extension Epilogue {
  fileprivate mutating func take(_ node: Graph.Node, in compiler: Compiler) -> Bool {
    let types = compiler.types
    guard node.results.count == 1, types[node.results[0]].dtype == .float32 else { return false }
    switch node.operation {
    case .batchNorm(.inference, _)
    where compiler.foldsBatchNorms && norm == nil && posts.isEmpty && node.operands[0] == result
      && node.operands.dropFirst().allSatisfy({ compiler.isConstant($0) })
      && (isOfConvolution ? types[result].shape.count > 2 : types[result].shape.count == 2):
      norm = node
    case .unary(let unary):
      guard let function = EltwiseFunction(unary) else { return false }
      posts.append(.function(function))
    case .binary(.add) where isBias(node, in: compiler): bias = node.operands.first { $0 != result }
    case .binary(.add):
      guard let other = node.operands.first(where: { $0 != result }), !compiler.isConstant(other),
        types[other] == types[result]
      else { return false }
      posts.append(.add(other))
    default: return false
    }
    result = node.results[0]
    return true
  }
}

extension Epilogue {
  /// Whether a sum adds a known number to each channel of a layer that has no bias.
  private func isBias(_ node: Graph.Node, in compiler: Compiler) -> Bool {
    guard takesBias, bias == nil, norm == nil, posts.isEmpty, let other = node.operands.first(where: { $0 != result }),
      compiler.isConstant(other), compiler.types[other].dtype == .float32
    else { return false }
    let (shape, added) = (compiler.types[result].shape, compiler.types[other].shape)
    guard let axis = isOfConvolution ? 1 : shape.indices.last, added.count <= shape.count,
      compiler.types[node.results[0]].shape == shape
    else { return false }
    let lengths = [Int](repeating: 1, count: shape.count - added.count) + added
    return lengths.indices.allSatisfy { lengths[$0] == ($0 == axis ? shape[axis] : 1) }
  }
}

/// Posts with the descriptions that they point to.
struct Posts {
  var list: [ce_post] = []
  var descriptions: [MemoryDescription] = []
  var operands: [(argument: Int32, placed: Placed)] = []

  func withPosts(_ body: (Int32, UnsafePointer<ce_post>?) -> Int32) -> Int32 {
    withExtendedLifetime(descriptions) {
      list.withUnsafeBufferPointer { body(Int32(list.count), $0.baseAddress) }
    }
  }
}
