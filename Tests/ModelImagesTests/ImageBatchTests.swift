import ModelCore
import ModelImages
import SystemPackage
import Testing

extension Images {
  /// Several files as one tensor: what decoding, fitting and dividing by 255 one after the other gives.
  @Suite struct ImageBatchTests {
    private let sample = FilePath(#filePath).removingLastComponent().removingLastComponent().removingLastComponent()
      .appending("Resources/sample.jpg").string

    @Test func asOneByOne() throws {
      let batch = try imageBatch(contentsOf: [sample, sample], size: [96, 64])
      #expect(batch.tensor.shape == [2, 3, 96, 64] && batch.tensor.dtype == .float32 && batch.letterboxes.count == 2)
      let fitted = try letterbox(ImageFile(contentsOf: sample).bytes(), to: [96, 64], auto: false)
      let planes = try ImageFile(pixels: fitted.image).planes()
      for index in 0..<2 { #expect(try batch.tensor[index].floats() == planes.floats()) }
      #expect(batch.letterboxes[1].ratio == fitted.ratio)
    }

    @Test func refusals() throws {
      #expect { try imageBatch(contentsOf: [String]()) } throws: { "\($0)" == "there are no pictures" }
      #expect { try imageBatch(contentsOf: [sample], size: [0, 4]) } throws: { ($0 as? ModelError)?.kind == .invalid }
      #expect { try imageBatch(contentsOf: [sample, "/nowhere.png"]) } throws: {
        "\($0)" == "/nowhere.png: cannot be opened: No such file or directory"
      }
    }
  }
}
