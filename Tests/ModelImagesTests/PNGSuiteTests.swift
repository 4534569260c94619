import FoundationEssentials
import ModelCore
import ModelImages
import TestSupport
import Testing

extension Images {
  /// PngSuite's categories, by files of our own: sizes, backgrounds, transparency, gamma, palettes, ancillary chunks,
  /// compression, damage.
  @Suite struct PNGSuiteTests {
    struct Golden: Decodable {
      let name: String
      let file: Data
      /// Of the pixels; nil where the file must be refused.
      let crc: UInt32?
    }

    @Test func againstPixels() throws {
      let cases = try goldens("png_suite.json", of: Golden.self)
      #expect(cases.count > 80)
      for golden in cases {
        let name = Comment(rawValue: golden.name)
        guard let crc = golden.crc else {
          let line = refusal { _ = try decode(golden.file) } ?? ""
          #expect(line.hasPrefix("picture: ") && !line.contains("\n"), "\(golden.name): \(line)")
          continue
        }
        #expect(throws: Never.self, name) {
          let image = try decode(golden.file)
          #expect(try checksum(bytes(image.pixels)) == crc, name)
        }
      }
    }
  }
}
