import ModelUtils
import Testing

@Suite struct Tensors {
  @Test func making() throws {
    let zeros = try Tensor(.float16, [2, 3])
    let table = try Tensor([1, 2, 3, 4, 5, 6], [2, 3])
    let labels = try Tensor([Int64(7), 8], [2])
    #expect(zeros.byteCount == 12)
    #expect(table.dtype == .float32)
    #expect(labels.dtype == .int64)

    let row = try table[0]
    let column = try table[0..., -1]
    let turned = try table.transposed().reshaped([-1])
    let wide = try table.unsqueezed(0).expanded(to: [4, 2, 3])
    #expect(row.shape == [3])
    #expect(try column.floats() == [3, 6])
    #expect(try turned.floats() == [1, 4, 2, 5, 3, 6])
    #expect(wide.strides == [0, 3, 1])

    let both = try Tensor.stacked([table, table])
    let long = try Tensor.concatenated([table, table], axis: 1)
    #expect(both.shape == [2, 2, 3])
    #expect(long.shape == [2, 6])

    print(table, try table.isClose(to: both[1]))
    #expect(try table.isEqual(to: both[1]))
  }

  @Test func elements() throws {
    let table = try Tensor([1, 2, 3, 4, 5, 6], [2, 3])
    let sum = try table.withElements(of: Float.self) { elements in elements.reduce(0, +) }
    let numbers = try table.converted(to: .bfloat16).doubles()
    #expect(sum == 21)
    #expect(numbers == [1, 2, 3, 4, 5, 6])

    var changed = table
    try changed.withMutableElements(of: Float.self) { $0[0] = 10 }
    #expect(try changed[0, 0].item() == 10)
    #expect(try table[0, 0].item() == 1)

    var generator = TorchGenerator(seed: 0)
    var weight = try Tensor(.float32, [16, 3, 3, 3])
    try weight.kaimingUniform(using: &generator)
    #expect(try weight.doubles().contains { $0 != 0 })
  }

  @Test func lazily() throws {
    try withFolder { folder in
      let path = "\(folder)/weights.safetensors"
      try Checkpoint(StateDict(["w": try Tensor([1, 2], [2])])).write(to: path)

      let state = try Checkpoint(contentsOf: path).preferred.stateDict()
      guard let lazy = state["w"] else { throw ModelError(.missing, "there is no w") }
      let half = try lazy.converted(to: .float16)
      let inMemory = try half.materialized()
      #expect(inMemory.dtype == .float16)
      #expect(try inMemory.doubles() == [1, 2])
    }
  }
}
