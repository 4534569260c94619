import ModelCore
import TestSupport
import Testing

/// Views and joined tensors; the expected values are those that PyTorch gives for `torch.arange`.
@Suite struct TensorViewsTests {
  private let tensor: Tensor

  init() throws { tensor = try Tensor((0..<24).map { Float($0) }, [2, 3, 4]) }

  @Test func reshaping() throws {
    #expect(try tensor.reshaped([4, -1]).shape == [4, 6])
    #expect(try tensor.reshaped([-1]).floats() == tensor.floats())
    #expect(try tensor.reshaped([4, 6]).identity != tensor.identity)
    #expect(
      try tensor.permuted([2, 0, 1]).reshaped([2, 12])[0].floats() == [0, 4, 8, 12, 16, 20, 1, 5, 9, 13, 17, 21])
    #expect(try tensor.flattened(from: 1).shape == [2, 12])
    #expect(try tensor.flattened(from: 0, to: 1).shape == [6, 4])
    #expect(try Tensor([3], []).flattened().shape == [1])
    #expect(try Tensor(.float32, [0, 3]).reshaped([3, 0]).shape == [3, 0])
    #expect(refusal { _ = try tensor.reshaped([5, -1]) } == "24 elements do not fill shape [5, -1]")
    #expect(refusal { _ = try tensor.reshaped([-1, -1]) } == "24 elements do not fill shape [-1, -1]")
    #expect(refusal { _ = try tensor.reshaped([Int.max, 2]) } == "24 elements do not fill shape [\(Int.max), 2]")
    #expect(refusal { _ = try tensor.reshaped([0, -1]) } == "24 elements do not fill shape [0, -1]")
    #expect(refusal { _ = try tensor.flattened(from: 2, to: 1) } == "axis 2 stands behind axis 1")
  }

  @Test func permuting() throws {
    #expect(try tensor.permuted([1, -1, 0])[2, 3].floats() == [11, 23])
    #expect(try tensor.transposed(0, 1).shape == [3, 2, 4])
    #expect(try tensor.transposed()[0, 3].floats() == [3, 7, 11])
    #expect(refusal { _ = try tensor.permuted([0, 0, 1]) } == "[0, 0, 1] is no order of 3 axes")
    #expect(refusal { _ = try tensor.permuted([0, 1]) } == "[0, 1] is no order of 3 axes")
    #expect(refusal { _ = try tensor.permuted([0, 1, 3]) } == "a tensor of shape [2, 3, 4] has no axis 3")
  }

  @Test func axesOfLengthOne() throws {
    #expect(try tensor.unsqueezed(0).shape == [1, 2, 3, 4])
    #expect(try tensor.unsqueezed(-1).shape == [2, 3, 4, 1])
    #expect(try tensor.unsqueezed(2).squeezed(2).strides == tensor.strides)
    #expect(try tensor.unsqueezed(1).unsqueezed(0).squeezed().shape == [2, 3, 4])
    #expect(try tensor.unsqueezed(1).isContiguous)
    #expect(refusal { _ = try tensor.unsqueezed(4) } == "a tensor of shape [2, 3, 4] has no room for axis 4")
    #expect(refusal { _ = try tensor.squeezed(0) } == "axis 0 of shape [2, 3, 4] is not of length 1")
  }

  @Test func expanding() throws {
    let row = try Tensor([1, 2], [2, 1])
    #expect(try row.expanded(to: [3, 2, 2]).floats() == [1, 1, 2, 2, 1, 1, 2, 2, 1, 1, 2, 2])
    #expect(refusal { _ = try row.expanded(to: [3, 1]) } == "shape [2, 1] cannot be expanded to [3, 1]")
    #expect(refusal { _ = try row.expanded(to: [2]) } == "shape [2, 1] cannot be expanded to [2]")
    #expect(throws: ModelError.self) { _ = try row.expanded(to: [Int.max, 2, 1]) }
  }

  @Test func indexing() throws {
    #expect(try tensor[1, 2, 3].item() == 23)
    #expect(try tensor[-1, -1, -1].item() == 23)
    #expect(try tensor[0].shape == [3, 4])
    #expect(try tensor[0..., 1, 1...2].floats() == [5, 6, 17, 18])
    #expect(try tensor[0, ..<2, 3...].floats() == [3, 7])
    #expect(try tensor[0..<0].shape == [0, 3, 4])
    #expect(try tensor[2...].shape == [0, 3, 4])
    #expect(refusal { _ = try tensor[2] } == "place 2 is none of 2")
    #expect(refusal { _ = try tensor[-3] } == "place -3 is none of 2")
    #expect(refusal { _ = try tensor[Int.min] } == "place \(Int.min) is none of 2")
    #expect(refusal { _ = try tensor[0, 0, 0, 0] } == "4 indices for a tensor of shape [2, 3, 4]")
    #expect(refusal { _ = try tensor[1..<3] } == "places 1 to below 3 are not all among 2")
    #expect(refusal { _ = try tensor[0...2] } == "places 0 to 2 are not all among 2")
    #expect(refusal { _ = try tensor[3...] } == "places from 3 on are none of 2")
    #expect(refusal { _ = try tensor[..<(-1)] } == "places below -1 are none of 2")
    #expect(refusal { _ = try tensor[0...Int.max] } == "places 0 to \(Int.max) are not all among 2")
  }

  @Test func joining() throws {
    let (a, b) = (try Tensor([1, 2, 3, 4], [2, 2]), try Tensor([5, 6], [2, 1]))
    #expect(try Tensor.concatenated([a, b], axis: 1).floats() == [1, 2, 5, 3, 4, 6])
    #expect(try Tensor.concatenated([a, a.transposed()]).floats() == [1, 2, 3, 4, 1, 3, 2, 4])
    #expect(try Tensor.concatenated([a, Tensor(.float32, [0, 2])]).shape == [2, 2])
    #expect(try Tensor.stacked([a, a], axis: -1).floats() == [1, 1, 2, 2, 3, 3, 4, 4])
    #expect(try Tensor.stacked([a, a]).shape == [2, 2, 2])
    #expect(try Tensor.stacked([Tensor([3], []), Tensor([4], [])]).floats() == [3, 4])
    #expect(refusal { _ = try Tensor.concatenated([]) } == "there are no tensors to join")
    #expect(
      refusal { _ = try Tensor.concatenated([a, b]) }
        == "float32 [2, 1] cannot be joined with float32 [2, 2] along axis 0")
    #expect(
      refusal { _ = try Tensor.concatenated([a, a.converted(to: .float16)]) }
        == "float16 [2, 2] cannot be joined with float32 [2, 2] along axis 0")
    #expect(refusal { _ = try Tensor.stacked([a, b]) } != nil)
  }

  @Test func elementsSmallerThanAByte() throws {
    let small = try TestSupport.tensor(.float4E2M1, [2, 2], [1, 2])
    #expect(try small.reshaped([4]).shape == [4])
    #expect(refusal { _ = try small[1] } == "elements of float4_e2m1fn are smaller than a byte and have no views")
    #expect(refusal { _ = try Tensor.concatenated([small]) } != nil)
  }

  @Test func comparing() throws {
    let a = try Tensor([1, .nan, -0.0])
    #expect(try !a.isEqual(to: a))
    #expect(try Tensor([0, 1]).isEqual(to: Tensor([-0.0, 1])))
    #expect(try !Tensor([1]).isEqual(to: Tensor([1], [1, 1])))
    #expect(try !Tensor([1]).isEqual(to: Tensor([1.0] as [Double])))
    #expect(try Tensor([UInt8(3)]).isEqual(to: Tensor([UInt8(3)])))
    #expect(try a.isClose(to: a, nanIsEqual: true))
    #expect(try !a.isClose(to: a))
    #expect(try Tensor([1.000009]).isClose(to: Tensor([1])))
    #expect(try !Tensor([1.0001]).isClose(to: Tensor([1])))
    #expect(try Tensor([.infinity]).isClose(to: Tensor([.infinity])))
    #expect(try !Tensor([.infinity]).isClose(to: Tensor([1e30])))
    #expect(refusal { _ = try a.isClose(to: Tensor([1])) } == "shapes [3] and [1] cannot be compared")
  }
}
