import ModelArchitectures
import ModelCore
import ModelGraph
import Testing

/// One step of an RNN, LSTM or GRU; the numbers are PyTorch's.
@Suite struct RecurrentCellTests {
  /// Numbers that nobody chose: ((7 i + start) mod 11 - 5) / 8.
  private func tensor(_ shape: [Int], _ start: Int) throws -> Tensor {
    let count = shape.reduce(1, *)
    return try Tensor((0..<count).map { Float(($0 * 7 + start) % 11 - 5) / 8 }, shape)
  }

  private func cell(_ kind: Recurrent.Kind, hasBias: Bool = true) throws -> Module {
    let cell = RecurrentCell(kind, inputSize: 3, hiddenSize: 2, hasBias: hasBias)
    var module = Make.layer("torch.nn.modules.rnn.Cell", .recurrentCell(cell))
    let rows = 2 * kind.gates
    let shapes = [
      ("weight_ih", [rows, 3]), ("weight_hh", [rows, 2]), ("bias_ih", [rows]), ("bias_hh", [rows]),
    ]
    for (place, (name, shape)) in shapes.enumerated() where hasBias || place < 2 {
      module.parameters[name] = Parameter(try tensor(shape, place))
    }
    return module
  }

  private func outputs(_ module: Module, _ inputs: [Tensor], mode: Graph.Mode = .inference) throws -> [Tensor] {
    try Graph(module, mode: mode, inputCount: inputs.count).reference(inputs)
  }

  private func expect(_ tensors: [Tensor], _ values: [[Double]], _ shape: [Int]) throws {
    #expect(tensors.count == values.count)
    for (tensor, values) in zip(tensors, values) {
      #expect(tensor.shape == shape)
      // Golden values have seven decimals, results are float32.
      let differences = zip(try tensor.doubles(), values).map { abs($0 - $1) }
      #expect(differences.count == values.count && differences.allSatisfy { $0 < 2e-7 })
    }
  }

  private static let goldens: [(Recurrent.Kind, hasBias: Bool, withStates: [[Double]], fromZeros: [[Double]])] = [
    (
      .rnnTanh, true, [[0.0934763, 0.5325873, -0.3718989, 0.8093011]],
      [[-0.2595492, 0.7411945, -0.1853332, 0.7193275]]
    ), (.rnnReLU, false, [[0.71875, 0, 0.234375, 0]], [[0.359375, 0, 0.4375, 0]]),
    (
      .lstm, true,
      [[0.0602832, -0.3198894, 0.0564432, -0.1209188], [0.3579639, -0.5272458, 0.2624134, -0.2185027]],
      [[0.0494114, -0.1435425, 0.0474042, -0.1563294], [0.2499136, -0.2487585, 0.236286, -0.2648784]]
    ),
    (
      .lstm, false,
      [[0.0295034, -0.21727, -0.0694167, -0.0631054], [0.0746289, -0.4532789, -0.1504395, -0.1561809]],
      [[-0.0552218, -0.0454965, -0.0766335, -0.0517359], [-0.1268033, -0.1052218, -0.1752806, -0.1156368]]
    ),
    (
      .gru, true, [[0.2107059, -0.2371923, 0.1532053, -0.2792695]],
      [[0.1839851, -0.2571668, 0.1524476, -0.2741483]]
    ),
    (
      .gru, false, [[-0.067344, 0.077122, -0.1474664, -0.2662095]],
      [[-0.1177271, -0.1267364, -0.1577067, -0.1398927]]
    ),
  ]

  @Test func oneStep() throws {
    for (kind, hasBias, withStates, fromZeros) in Self.goldens {
      let module = try cell(kind, hasBias: hasBias)
      let x = try tensor([2, 3], 2)
      let states = try (0..<(kind == .lstm ? 2 : 1)).map { try tensor([2, 2], 3 + $0) }
      for mode in [Graph.Mode.inference, .training] {
        try expect(outputs(module, [x] + states, mode: mode), withStates, [2, 2])
        try expect(outputs(module, [x], mode: mode), fromZeros, [2, 2])
      }
      // Without a batch: the first entry of it.
      func first(_ tensor: Tensor) throws -> Tensor { try tensor[0] }
      let alone = try outputs(module, [first(x)] + states.map(first))
      try expect(alone, withStates.map { Array($0.prefix(2)) }, [2])
      try expect(outputs(module, [first(x)]), fromZeros.map { Array($0.prefix(2)) }, [2])
    }
  }

  @Test func whatIsNoStep() throws {
    func refusal(_ module: Module, _ shapes: [Int]...) -> String? {
      do {
        _ = try Graph(module, inputCount: shapes.count).types(of: shapes.map { TensorType(.float32, $0) })
      } catch { return "\(error)" }
      return nil
    }
    func changed(_ change: (inout RecurrentCell) -> Void) throws -> Module {
      var cell = RecurrentCell(.gru, inputSize: 3, hiddenSize: 2)
      change(&cell)
      var module = try self.cell(.gru)
      module.layer = .recurrentCell(cell)
      return module
    }
    let gru = try cell(.gru)
    #expect(refusal(gru, [5, 2, 3])?.contains("takes 2 axes, or 1 without a batch") == true)
    #expect(refusal(gru, [])?.contains("takes 2 axes, or 1 without a batch") == true)
    #expect(refusal(gru, [3], [1, 2])?.contains("takes 2 axes, or 1 without a batch") == true)
    #expect(refusal(gru, [4, 2]) == "takes 3 features, but 2 come to it")
    #expect(refusal(gru, [4, 3], [3, 2]) == "its states [3, 2] do not fit a batch of 4")
    #expect(refusal(gru, [4, 3], [4, 2], [4, 2])?.contains("takes an input, and perhaps the states") == true)
    #expect(refusal(try cell(.lstm), [4, 3], [4, 2])?.contains("takes an input, and perhaps the states") == true)
    #expect(refusal(try cell(.gru, hasBias: false), [0, 3]) == nil)
    for hidden in [0, -1, .max] {
      #expect(refusal(try changed { $0.hiddenSize = hidden }, [4, 3])?.contains("'hidden_size'") == true)
    }
    #expect(refusal(try changed { $0.hiddenSize = 3 }, [4, 3]) == "its configuration is no valid one")
    var bare = gru
    bare.parameters["bias_hh"] = nil
    #expect(refusal(bare, [4, 3])?.contains("'bias_hh'") == true)
  }
}
