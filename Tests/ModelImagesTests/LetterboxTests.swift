import ModelCore
import ModelImages
import TestSupport
import Testing

extension Images {
  @Suite struct LetterboxTests {
    struct Golden: Decodable {
      let height: Int
      let width: Int
      let size: [Int]
      let stride: Int
      let auto: Bool
      let scaleFill: Bool
      let scaleUp: Bool
      let shape: [Int]
      let ratio: [Double]
      let padding: [Double]
      let crc: UInt32
      let middle: [UInt8]
      let boxes: [Float]
      let plain: [Float]
      let padded: [Float]
    }

    func picture(_ height: Int, _ width: Int) throws -> Tensor {
      try byteTensor((0..<height * width * 3).map { UInt8($0 * 40503 % 65536 / 256) }, [height, width, 3])
    }

    /// To the bit: pixels and boxes.
    @Test func againstYOLOv5() throws {
      for golden in try goldens("letterbox.json", of: Golden.self) {
        let name: Comment = "\(golden.height)x\(golden.width) into \(golden.size)"
        let image = try picture(golden.height, golden.width)
        func fitted() throws -> Letterbox {
          try letterbox(
            image, to: golden.size, stride: golden.stride, auto: golden.auto, scaleFill: golden.scaleFill,
            scaleUp: golden.scaleUp)
        }
        let result = try fitted()
        let found = try bytes(atEveryLevel(name) { try fitted().image })
        #expect(result.image.shape == golden.shape, name)
        let row = golden.shape[1] * 3
        #expect(Array(found[golden.shape[0] / 2 * row..<(golden.shape[0] / 2 + 1) * row]) == golden.middle, name)
        #expect(checksum(found) == golden.crc, name)
        #expect([result.ratio.width, result.ratio.height] == golden.ratio, name)
        #expect([result.padding.width, result.padding.height] == golden.padding, name)
        let boxes = try Tensor(golden.boxes, [golden.boxes.count / 5, 5])
        #expect(try result.boxesInOriginal(boxes).floats() == golden.padded, name)
        let plain = try scaleBoxes(boxes, from: Array(golden.shape.prefix(2)), to: [golden.height, golden.width])
        #expect(try plain.floats() == golden.plain, name)
      }
    }

    @Test func refusals() throws {
      let image = try picture(4, 300)
      #expect(refusal { _ = try letterbox(image, to: [1, 20]) } == "a picture of 4x300 fitted into 1x20 would be 0x20")
      #expect(refusal { _ = try letterbox(image, to: [0, 20]) }?.contains("takes a size") == true)
      #expect(refusal { _ = try letterbox(image, stride: 0) }?.contains("takes a size") == true)
      #expect(refusal { _ = try letterbox(Tensor([1], [1, 1, 1])) }?.contains("not float32 [1, 1, 1]") == true)
      #expect(
        refusal { _ = try scaleBoxes(Tensor([1, 2, 3]), from: [1, 1], to: [1, 1]) }?.contains("at least 4") == true)
      #expect(
        refusal { _ = try scaleBoxes(Tensor([1, 2, 3, 4]), from: [0, 1], to: [1, 1]) }?.contains("sizes are") == true)
    }
  }
}
